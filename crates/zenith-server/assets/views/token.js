// What is shown where the server does not know the token, or wants one.

import { token } from '../api.js';
import { html, useState } from '../lib.js';

export function Token({ error }) {
  const [value, set] = useState('');
  const submit = (event) => {
    event.preventDefault();
    token.set(value.trim());
  };
  return html`<form class="alone" onSubmit=${submit}>
    <h1>${token.get() ? 'This token is not known here' : 'This server wants a token'}</h1>
    <p>${error.message} ${error.code && html`<span class="errorcode">${error.code}</span>`}</p>
    <p class="muted">${error.remedy ?? 'Tokens stand in the file that zenith serve was given as --token-file.'}</p>
    <label class="field">Token
      <input type="password" value=${value} autocomplete="current-password" autofocus required onInput=${(event) => set(event.target.value)} /></label>
    <p><button type="submit" class="main" disabled=${!value.trim()}>Go on</button></p>
    <p class="muted">It is kept in this tab until the tab is closed.</p></form>`;
}
