// Which tasks are shown: by text, source, operation and status, kept in the page's address.

import { el, pill, setText } from "./dom.js";
import { count } from "./words.js";

const STATUSES = [
  "running",
  "pending",
  "suspended",
  "unknown",
  "error",
  "timed_out",
  "warning",
  "success",
  "cancelled",
  "skipped",
];

export class Filters {
  #form;
  #changed;
  #text = "";
  #source = "";
  #operation = null; // A task's operation may be "".
  #statuses = new Set();
  #chips = new Map();

  constructor(form, changed) {
    this.#form = form;
    this.#changed = changed;
    this.#read();
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.text.addEventListener("input", (event) => this.set({ text: event.target.value }));
    form.elements.source.addEventListener("change", (event) => this.set({ source: event.target.value }));
    form.elements.operation.addEventListener("change", (event) => this.set({ operation: chosen(event.target) }));
    form.elements.clear.addEventListener("click", () => this.#clear());
    addEventListener("popstate", () => {
      this.#read();
      changed();
    });
    addEventListener("keydown", (event) => this.#shortcut(event));
    for (const status of STATUSES) this.#addChip(status);
  }

  get source() {
    return this.#source;
  }

  /** Tells the tasks that are shown, and how many there would be of each status. */
  apply(tasks) {
    const words = this.#text.toLowerCase().split(/\s+/).filter(Boolean);
    const counts = new Map();
    const shown = [];
    for (const task of tasks) {
      if (this.#source && task.source !== this.#source) continue;
      if (this.#operation !== null && (task.operation ?? "") !== this.#operation) continue;
      if (words.length && !matches(task, words)) continue;
      counts.set(task.status, (counts.get(task.status) ?? 0) + 1);
      if (!this.#statuses.size || this.#statuses.has(task.status)) shown.push(task);
    }
    return { shown, counts };
  }

  /** Shows what there is to choose, and what is chosen. */
  draw(tasks, counts) {
    const operations = new Set(
      tasks.filter((task) => !this.#source || task.source === this.#source).map((task) => task.operation ?? ""),
    );
    if (this.#operation !== null) operations.add(this.#operation);
    options(this.#form.elements.operation, "All operations", [...operations].sort(), this.#operation);
    const sources = new Set(tasks.map((task) => task.source));
    if (this.#source) sources.add(this.#source);
    options(this.#form.elements.source, "All sources", [...sources].sort(), this.#source || null);
    for (const [status, chip] of this.#chips) {
      const number = counts.get(status) ?? 0;
      const pressed = this.#statuses.has(status);
      chip.button.hidden = !number && !pressed;
      chip.button.setAttribute("aria-pressed", String(pressed));
      setText(chip.number, count(number));
    }
    this.#form.elements.clear.hidden = !this.#isAny();
  }

  #addChip(status) {
    const number = el("span", { class: "number" });
    const button = el("button", { type: "button", class: "chip", hidden: true }, pill(status), number);
    button.addEventListener("click", () => {
      const statuses = new Set(this.#statuses);
      if (!statuses.delete(status)) statuses.add(status);
      this.set({ statuses });
    });
    this.#chips.set(status, { button, number });
    this.#form.querySelector("#statuses").append(button);
  }

  /** Sets some of the filters; the others stay. */
  set({ text = this.#text, source = this.#source, operation = this.#operation, statuses = this.#statuses }) {
    this.#text = text;
    this.#source = source;
    this.#operation = operation;
    this.#statuses = statuses;
    history.replaceState(null, "", this.#address());
    this.#changed();
  }

  #clear() {
    this.#form.elements.text.value = "";
    this.set({ text: "", source: "", operation: null, statuses: new Set() });
    this.#form.elements.text.focus();
  }

  #isAny() {
    return Boolean(this.#text || this.#source || this.#operation !== null || this.#statuses.size);
  }

  #address() {
    const query = new URLSearchParams();
    if (this.#source) query.append("source", this.#source);
    for (const status of STATUSES) if (this.#statuses.has(status)) query.append("status", status);
    if (this.#operation !== null) query.append("operation", this.#operation);
    if (this.#text) query.append("text", this.#text);
    return query.size ? `?${query}` : location.pathname;
  }

  #read() {
    const query = new URLSearchParams(location.search);
    this.#text = query.get("text") ?? "";
    this.#source = query.get("source") ?? "";
    this.#operation = query.get("operation");
    this.#statuses = new Set(query.getAll("status").filter((status) => STATUSES.includes(status)));
    this.#form.elements.text.value = this.#text;
  }

  #shortcut(event) {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#form.elements.text.focus();
  }
}

function matches(task, words) {
  const fields = [task.task_id, task.name, task.message, task.operation, task.source, task.error_code];
  const text = fields.filter(Boolean).join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Fills a list to choose from; an index tells the choices apart, as any text may be one. */
function options(select, all, values, chosenValue) {
  const texts = [all, ...values.map((value) => value || "(none)")];
  const same = texts.length === select.length && texts.every((text, index) => select[index].textContent === text);
  if (!same) select.replaceChildren(...texts.map((text, index) => el("option", { value: values[index - 1] ?? "" }, text)));
  const index = chosenValue === null ? 0 : values.indexOf(chosenValue) + 1;
  if (select.selectedIndex !== index) select.selectedIndex = index;
}

function chosen(select) {
  return select.selectedIndex === 0 ? null : select.value;
}
