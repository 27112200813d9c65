// Follows a stream of server-sent events, shows whether it is connected, and never gives up.

import { el, fill } from "./dom.js";

const SILENCE = 15_000; // The server says something every five seconds.
const LONGEST_PAUSE = 10_000;

/** Calls back with each change; the first one after each connection has `reset`. Returns the server's clock. */
export function follow(address, receive) {
  let stream = null;
  let timer = 0;
  let failures = 0;
  let skew = 0;
  let heard = null;

  function open() {
    close();
    stream = new EventSource(address);
    let first = true;
    stream.addEventListener("change", (event) => {
      const news = JSON.parse(event.data);
      skew = Date.parse(news.now) - Date.now();
      receive({ ...news, reset: first });
      first = false;
      alive();
    });
    stream.addEventListener("alive", alive);
    stream.addEventListener("error", lost);
    timer = setTimeout(lost, SILENCE);
  }

  function alive() {
    failures = 0;
    heard = new Date();
    show("live", "Live");
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE);
  }

  function lost() {
    close();
    const since = heard ? ` What you see is from ${heard.toLocaleTimeString()}.` : "";
    show("lost", `Connection lost, trying again.${since}`);
    // Pages do not all come back at the same moment.
    const pause = Math.min(LONGEST_PAUSE, 1000 * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    timer = setTimeout(open, pause);
  }

  function close() {
    clearTimeout(timer);
    if (stream) stream.close();
    stream = null;
  }

  // Browsers allow six connections to a server, so only pages that are looked at hold one.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("online", () => document.hidden || open());
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  show("waiting", "Connecting");
  if (!document.hidden) open();
  return () => Date.now() + skew;
}

function show(state, words) {
  if (document.body.dataset.connection === state && state !== "lost") return;
  document.body.dataset.connection = state;
  const place = document.getElementById("connection");
  if (place.textContent !== words) fill(place, el("span", { class: "light", "aria-hidden": "true" }), words);
}
