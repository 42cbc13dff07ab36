// Step 4: what will be made, word for word; then it starts.

import { api } from '../../api.js';
import { coarse, short } from '../../format.js';
import { html, useState } from '../../lib.js';
import { untilKnown } from '../../live.js';
import { Code, ErrorNote, Skeleton } from '../../parts/controls.js';
import { go, pipelineAddress } from '../../router.js';
import { Changes } from '../settings.js';
import { forget, toml } from './draft.js';
import { Way } from './new.js';
import { usePlan } from './shape.js';

/** Documents a second that are assumed before there is anything to measure. */
const DOCUMENTS_PER_SECOND = 100_000;

export function Review({ of, back }) {
  const text = toml(of);
  const { plan, error } = usePlan(text);
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    setFailure(null);
    try {
      await api.apply(text);
      const { name } = of;
      await untilKnown(name);
      go(pipelineAddress(name));
      forget();
    } catch (refused) {
      setFailure(refused);
      setBusy(false);
    }
  };
  const documents = (plan?.pipelines ?? []).reduce((all, each) => all + (each.inferred?.documents ?? 0), 0);
  return html`<${ErrorNote} error=${error} />${!plan && !error && html`<${Skeleton} lines=${8} />`}
    ${plan && html`<section class="panel" aria-labelledby="what"><h2 id="what">What happens</h2><${Changes} plan=${plan} />
      <p>${of.mode === 'change-log' ? 'It begins with the changes from now on.' : `It reads ${short(documents)} documents, in about ${coarse(Math.max(Math.ceil(documents / DOCUMENTS_PER_SECOND), 1))} at ${short(DOCUMENTS_PER_SECOND)} a second; the true rate shows in the first seconds.`}${of.mode === 'changes' ? ' Then it follows every change.' : ''}</p></section>
    <section class="panel" aria-labelledby="toml"><header><h2 id="toml">zenith.toml</h2><span class="muted">the whole of it, as a file would say it</span></header><${Code} text=${text} what="text for zenith.toml" /></section>
    ${plan.pipelines.map((each) => (each.inferred
    ? html`<section class="panel" key=${each.name}><h2>Table ${each.inferred.table}</h2><${Code} text=${each.inferred.ddl} what=${`statement for ${each.inferred.table}`} /></section>`
    : html`<${ErrorNote} key=${each.name} error=${each.error} />`))}`}
    <${ErrorNote} error=${failure} />
    <${Way} back=${back} next=${start} verb="Start" isReady=${plan !== null && !error && !busy} command="zenith apply --yes --file zenith.toml" />`;
}
