// Saves the card that lies drawn in the page; its pictures are those that the page shows.
function drawnCard() {
  const text = document.querySelector('#card script[type="image/svg+xml"]').textContent;
  const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  for (const image of svg.querySelectorAll("image[data-picture]")) {
    image.setAttribute("href", document.querySelector(`#card img[data-picture="${image.dataset.picture}"]`).src);
    image.removeAttribute("data-picture");
  }
  return svg;
}

async function saveCard(kind) {
  const svg = drawnCard(), text = new XMLSerializer().serializeToString(svg);
  const drawn = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  save(kind === "svg" ? drawn : await painted(drawn, svg), `card.${kind}`);
}

// In twice its size, for sharp letters.
async function painted(url, svg) {
  const picture = new Image(), canvas = document.createElement("canvas");
  picture.src = url;
  await picture.decode();
  canvas.width = 2 * svg.getAttribute("width");
  canvas.height = 2 * svg.getAttribute("height");
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return URL.createObjectURL(await new Promise((done) => canvas.toBlob(done)));
}

for (const button of document.querySelectorAll("#card [data-save]")) {
  button.addEventListener("click", () => saveCard(button.dataset.save));
}
