// Preact and htm as one import: `html` makes elements, hooks keep state, and a store is a value that views follow.

import { h } from './vendor/preact.mjs';
import htm from './vendor/htm.mjs';
import { useEffect, useState } from './vendor/preact-hooks.mjs';

export { render } from './vendor/preact.mjs';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact-hooks.mjs';

export const html = htm.bind(h);

/** A value, who follows it, and how it is replaced. */
export function store(value) {
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const follower of [...followers]) follower();
    },
    follow(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The value of a store; the component is drawn again when it changes. */
export function useStore(of) {
  const [, draw] = useState(0);
  useEffect(() => of.follow(() => draw((count) => count + 1)), [of]);
  return of.get();
}

/** The time in milliseconds, anew each `step` milliseconds. */
export function useNow(step = 1000) {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), step);
    return () => clearInterval(timer);
  }, [step]);
  return now;
}

/** Joins the names of classes that are there. */
export const classes = (...names) => names.filter(Boolean).join(' ');
