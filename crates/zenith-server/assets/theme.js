// Light, dark, or as the system is; kept in the browser.

import { store } from './lib.js';

const KEPT = 'zenith-theme';
const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };

export const theme = store('auto');
export const after = (chosen) => NEXT[chosen];

export function choose(chosen) {
  localStorage.setItem(KEPT, chosen);
  show(chosen);
}

function show(chosen) {
  document.documentElement.dataset.theme = chosen;
  theme.set(chosen);
}

show(NEXT[localStorage.getItem(KEPT)] ? localStorage.getItem(KEPT) : 'auto');
