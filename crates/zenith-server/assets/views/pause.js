// Pause and resume: at once, and either can be undone.

import { api } from '../api.js';
import { html, useState, useStore } from '../lib.js';
import { server, takePipeline } from '../live.js';
import { notify } from '../parts/notices.js';
import { isPaused } from '../pipelines.js';

const ROLES = ['read', 'operate', 'admin'];

/** Why the token does not allow what a role does; empty if it does, or as long as that is not known. */
export function useForbidden(role = 'operate') {
  const about = useStore(server);
  if (!about || ROLES.indexOf(about.role) >= ROLES.indexOf(role)) return '';
  return about.role === 'read' ? 'Your token may look, not change (role read)' : `This needs a token of the role ${role}`;
}

async function set(pipeline, action, undo) {
  try {
    takePipeline(await api[action](pipeline.name));
    notify(`${pipeline.name} is ${action === 'pause' ? 'paused' : 'running again'}.`, { undo });
  } catch (error) {
    notify(`${pipeline.name}: ${error.message}`, { tone: 'failing' });
  }
}

export function PauseButton({ pipeline, isSmall }) {
  const [busy, setBusy] = useState(false);
  const forbidden = useForbidden();
  const action = isPaused(pipeline) ? 'resume' : 'pause';
  const act = async () => {
    setBusy(true);
    await set(pipeline, action, () => set(pipeline, action === 'pause' ? 'resume' : 'pause'));
    setBusy(false);
  };
  const verb = action === 'pause' ? 'Pause' : 'Resume';
  return html`<button type="button" class=${isSmall ? 'small' : ''} disabled=${busy || forbidden !== ''} title=${forbidden || undefined}
    aria-label=${`${verb} ${pipeline.name}`} onClick=${act}>${verb}</button>`;
}
