// Comforts only: every page does its work without them.
"use strict";

// A new secret is in the answer to a form: reloading must not make another one.
const secret = document.querySelector("[data-instead]");
if (secret) {
  history.replaceState(null, "", secret.dataset.instead);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) {
    continue;
  }
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not allow copying: select the text.";
    }
  });
}

// A form that waits for a receiver says so, and is not sent twice.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.textContent = form.dataset.busy;
    setTimeout(() => { button.disabled = true; });
  });
}
// The page may come back from the browser's memory as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});

// What is under way is looked at again, as long as somebody looks.
const TIMES_MAX = 300;
let times = 0;
const moving = document.getElementById("moving");
function lookAgainLater() {
  const seconds = Number(moving.dataset.refreshSeconds);
  if (seconds && times < TIMES_MAX) {
    setTimeout(lookAgain, seconds * 1000);
  }
}
async function lookAgain() {
  times += 1;
  const isInUse = moving.contains(document.activeElement);
  if (!document.hidden && !isInUse) {
    try {
      const response = await fetch(location.pathname, { credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const found = page.getElementById("moving");
      if (response.ok && found && found.innerHTML !== moving.innerHTML) {
        moving.innerHTML = found.innerHTML;
        moving.dataset.refreshSeconds = found.dataset.refreshSeconds || "";
        // A screen reader says what changes in a place that stays.
        document.getElementById("told").textContent = moving.querySelector("[data-tell]").textContent;
      }
    } catch {
      // The network is away; the next look may find it.
    }
  }
  lookAgainLater();
}
if (moving) {
  lookAgainLater();
}
