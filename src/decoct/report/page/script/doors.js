// Opens what an address names: doors and sections are closed until somebody wants them.
function reveal(id) {
  const target = id && document.getElementById(id);
  if (!target) return;
  for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
  target.querySelector(":scope > details.section")?.setAttribute("open", "");
  target.scrollIntoView();
}

// The address names the door or section that was opened last; what is filtered out stays in it.
function setUpDoors() {
  for (const details of document.querySelectorAll("details.door, details.section")) {
    details.addEventListener("toggle", () => {
      if (!details.open || printing) return;
      state.section = details.id || details.parentElement.id;
      writeHash();
    });
  }
  for (const link of document.querySelectorAll("a[href^='#']")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      reveal(link.getAttribute("href").slice(1));
    });
  }
}

// Paper shows all: what was closed is opened, and closed again after.
const opened = [];
function openAll() {
  for (const details of document.querySelectorAll("main details:not([open]):not(.filters, .menu)")) {
    details.open = true;
    opened.push(details);
  }
}

function closeAgain() {
  for (const details of opened.splice(0)) details.open = false;
}
