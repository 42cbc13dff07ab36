// A question before something that cannot be taken back: what follows in plain words, then yes or no.

import { html, store, useEffect, useRef, useState, useStore } from '../lib.js';
import { ErrorNote } from './controls.js';

const asked = store(null);

/** Asks; `act` is called with what was entered, and its error is shown in the dialog. */
export function confirm({ title, consequences, verb, tone, fields, act }) {
  asked.set({ title, consequences, verb, tone, fields, act });
}

function Body({ question }) {
  const [values, setValues] = useState(() => Object.fromEntries((question.fields ?? []).map((field) => [field.name, field.value ?? ''])));
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await question.act(values);
      asked.set(null);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const isReady = (question.fields ?? []).every((field) => !field.mustBe || values[field.name] === field.mustBe);
  return html`<form method="dialog" onSubmit=${submit}>
    <h2 id="dialog-title">${question.title}</h2>
    ${question.consequences.map((line) => html`<p>${line}</p>`)}
    ${(question.fields ?? []).map((field) => html`<${Field} field=${field} value=${values[field.name]} set=${(value) => setValues({ ...values, [field.name]: value })} />`)}
    <${ErrorNote} error=${error} />
    <div class="buttons">
      <button type="button" onClick=${() => asked.set(null)}>Cancel</button>
      <button type="submit" class=${question.tone ?? 'main'} disabled=${busy || !isReady}>${question.verb}</button>
    </div></form>`;
}

function Field({ field, value, set }) {
  return html`<label class="field">${field.label}
    ${field.options
    ? html`<select value=${value} onChange=${(event) => set(event.target.value)}>${field.options.map(([option, text]) => html`<option value=${option}>${text}</option>`)}</select>`
    : html`<input value=${value} placeholder=${field.placeholder} autocomplete="off" spellcheck=${false} onInput=${(event) => set(event.target.value)} />`}
  </label>`;
}

/** Where questions appear. */
export function Dialog() {
  const question = useStore(asked);
  const element = useRef(null);
  useEffect(() => {
    if (question && !element.current.open) element.current.showModal();
    if (!question && element.current.open) element.current.close();
  }, [question]);
  return html`<dialog ref=${element} aria-labelledby="dialog-title" onClose=${() => asked.set(null)}>
    ${question ? html`<${Body} question=${question} key=${question.title} />` : html`<h2 id="dialog-title" hidden>Question</h2>`}</dialog>`;
}
