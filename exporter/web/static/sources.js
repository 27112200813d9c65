// The sources with their health; each is a button that shows only its tasks.

import { clock, el, fill, setText } from "./dom.js";
import { count } from "./words.js";

const WAITING = ["pending", "suspended", "unknown"];
const FAILED = ["error", "timed_out"];

export class Sources {
  #list;
  #filters;
  #cards = new Map();

  constructor(list, filters) {
    this.#list = list;
    this.#filters = filters;
  }

  /** Takes in the sources that changed, and the names of all. */
  update({ sources, order }) {
    for (const source of sources) this.#draw(source);
    for (const [name, card] of this.#cards) {
      if (!order.includes(name)) {
        card.item.remove();
        this.#cards.delete(name);
      }
    }
    order.forEach((name, index) => {
      const { item } = this.#cards.get(name);
      if (this.#list.children[index] !== item) this.#list.insertBefore(item, this.#list.children[index] ?? null);
    });
    this.mark();
  }

  /** Shows which source is chosen. */
  mark() {
    for (const [name, { button }] of this.#cards) {
      button.setAttribute("aria-pressed", String(this.#filters.source === name));
    }
  }

  #draw(source) {
    const card = this.#cards.get(source.name) ?? this.#add(source.name);
    const [state, word] = health(source.up);
    card.item.className = `source ${state}`;
    setText(card.state, word);
    setText(card.api, source.name === source.api ? "" : source.api);
    const sum = (statuses) => statuses.reduce((all, status) => all + source.tasks[status], 0);
    const failed = sum(FAILED);
    setText(card.running, count(source.tasks.running));
    setText(card.waiting, count(sum(WAITING)));
    setText(card.failed, count(failed));
    card.failed.parentElement.classList.toggle("some", failed > 0);
    const error = source.up === false ? source.last_error || "The last request failed." : "";
    if (card.error.dataset.text !== error + source.last_success_at) {
      card.error.dataset.text = error + source.last_success_at;
      fill(card.error, error, error ? el("span", { class: "sub" }, ...answered(source)) : null);
    }
    card.error.hidden = !error;
  }

  #add(name) {
    const number = () => el("strong");
    const card = {
      state: el("span", { class: "state" }),
      api: el("span", { class: "sub" }),
      running: number(),
      waiting: number(),
      failed: number(),
      error: el("p", { class: "problem", hidden: true }),
    };
    const numbers = el(
      "span",
      { class: "numbers" },
      el("span", {}, card.running, " running"),
      el("span", {}, card.waiting, " waiting"),
      el("span", {}, card.failed, " failed"),
    );
    const heading = el("span", { class: "heading" }, el("span", { class: "label" }, name), card.api, card.state);
    card.button = el("button", { type: "button", "aria-pressed": "false" }, heading, numbers);
    card.button.addEventListener("click", () => {
      this.#filters.set({ source: this.#filters.source === name ? "" : name });
      this.mark();
    });
    card.item = el("li", {}, card.button, card.error);
    this.#cards.set(name, card);
    return card;
  }
}

function health(up) {
  if (up === null || up === undefined) return ["waiting", "not asked yet"];
  return up ? ["up", "up"] : ["down", "down"];
}

function answered(source) {
  if (!source.last_success_at) return ["It has not answered yet."];
  return ["Last answer ", clock("ago", Date.parse(source.last_success_at))];
}
