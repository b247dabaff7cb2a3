// Dialogs. The browser keeps the focus inside of an open `<dialog>`, and gives the focus back.

import { h } from "./dom.js";
import { button, iconButton } from "./parts.js";

let count = 0;

/**
 * Opens a dialog and returns its element, whose `finished` is a promise of the value given to `finish`
 * (undefined after Escape). `actions` are buttons.
 */
export function openDialog(title, content, actions = [], { wide = false } = {}) {
  count += 1;
  const id = `dialog-${count}`;
  const dialog = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": id });
  const close = iconButton("cancel", "Close", () => dialog.close());
  dialog.append(
    h("header", {}, h("h2", { id }, title), close),
    h("div", { class: "content" }, content),
    h("footer", {}, actions),
  );
  let value;
  dialog.finish = (given) => {
    value = given;
    dialog.close();
  };
  dialog.finished = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(value);
    });
  });
  // A click beside the dialog closes the dialog.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before an action. True if the user agrees. */
export async function confirmed(title, content, action, { kind = "primary" } = {}) {
  const agree = button(action, () => dialog.finish(true), { kind });
  const dialog = openDialog(title, content, [button("Back", () => dialog.close()), agree]);
  agree.focus();
  return (await dialog.finished) === true;
}

/** Whether a dialog is open. */
export function hasDialog() {
  return document.querySelector("dialog[open]") !== null;
}
