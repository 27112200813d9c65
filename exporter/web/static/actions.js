// What a task's page asks of the exporter: its log, and to note that somebody has seen the failure.

import { el, setText } from "./dom.js";
import { counted, moment } from "./words.js";

const REFRESH = 5000;

/** Shows a log once somebody asks for it, as the watched system is asked for it each time. */
export function logViewer(address, isRunning) {
  const text = el("pre", { class: "text", tabindex: 0, role: "region", "aria-label": "Log", hidden: true });
  const said = el("p", { class: "sub", role: "status" });
  const load = el("button", { type: "button" }, "Show log");
  const wrap = toggle("Wrap lines", true, (on) => text.classList.toggle("wrapped", on));
  const followed = toggle("Follow", false, (on) => on && refresh());
  const download = el("a", { href: address, download: "" }, "Download");
  text.classList.add("wrapped");
  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    load.disabled = true;
    try {
      await show();
    } finally {
      load.disabled = false;
      setText(load, "Refresh");
    }
    followed.label.hidden = !isRunning();
    if (followed.box.checked && isRunning() && text.isConnected) timer = setTimeout(refresh, REFRESH);
  }

  async function show() {
    const [log, problem] = await ask(address);
    if (problem) {
      setText(said, problem);
      return;
    }
    const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
    setText(text, log);
    setText(said, log ? counted(lines(log), "line") : "The log is empty.");
    for (const element of [text, wrap.label, download]) element.hidden = !log;
    if (atEnd) text.scrollTop = text.scrollHeight;
  }

  load.addEventListener("click", refresh);
  for (const element of [wrap.label, followed.label, download]) element.hidden = true;
  const bar = el("div", { class: "tools" }, load, wrap.label, followed.label, download, said);
  return [el("h2", {}, "Log"), bar, text];
}

/** A button that notes that somebody has seen the failure, so that its alert is resolved. */
export function act(address) {
  const said = el("p", { class: "sub", role: "status" }, "Resolves the alert of this failure.");
  const by = el("input", { type: "text", autocomplete: "name", placeholder: "Your name (optional)", "aria-label": "Your name", maxlength: 100 });
  const button = el("button", { type: "button", class: "primary" }, "Acknowledge");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const [answer, problem] = await ask(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ by: by.value.trim() }),
    });
    button.disabled = !problem;
    if (problem) setText(said, problem);
    else {
      const { by: who, acknowledged_at: at } = JSON.parse(answer).data;
      setText(said, `Acknowledged${who ? ` by ${who}` : ""}, ${moment(at)}.`);
    }
  });
  return [el("div", { class: "tools" }, by, button, said)];
}

/** Asks the exporter; tells the text of its answer, or else what went wrong. */
async function ask(address, options = {}) {
  try {
    const response = await fetch(address, options);
    const text = await response.text();
    return response.ok ? [text, null] : [null, problemIn(text, response.status)];
  } catch {
    return [null, "The exporter did not answer."];
  }
}

function problemIn(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return `The exporter answered with HTTP ${status}.`;
  }
}

function toggle(words, checked, changed) {
  const box = el("input", { type: "checkbox", checked });
  box.addEventListener("change", () => changed(box.checked));
  return { box, label: el("label", {}, box, words) };
}

function lines(text) {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}
