/* The viewer of pictures: larger and smaller by buttons and keys, no dragging; a full picture takes its preview's place by itself. */
(() => {
  "use strict";

  const viewer = document.getElementById("viewer");
  if (!viewer || !viewer.showModal) return;
  const image = viewer.querySelector("img"), stage = viewer.querySelector(".stage"), said = document.getElementById("viewer-said");
  const STEPS = [1, 1.5, 2, 3, 4, 6];
  let zoom = 0, shown = "";

  const draw = () => {
    const x = (stage.scrollLeft + stage.clientWidth / 2) / Math.max(1, stage.scrollWidth);
    const y = (stage.scrollTop + stage.clientHeight / 2) / Math.max(1, stage.scrollHeight);
    image.style.width = `${STEPS[zoom] * 100}%`;
    image.style.height = zoom ? "auto" : "100%";
    stage.scrollLeft = x * stage.scrollWidth - stage.clientWidth / 2;
    stage.scrollTop = y * stage.scrollHeight - stage.clientHeight / 2;
    said.textContent = `${Math.round(STEPS[zoom] * 100)} %`;
  };
  const put = (button) => {
    if (image.getAttribute("src") !== button.dataset.zoom) image.src = button.dataset.zoom;
    image.alt = button.querySelector("img").alt;
  };
  const move = (x, y) => stage.scrollBy(x * stage.clientWidth * 0.4, y * stage.clientHeight * 0.4);
  const act = {
    in: () => { zoom = Math.min(STEPS.length - 1, zoom + 1); draw(); },
    out: () => { zoom = Math.max(0, zoom - 1); draw(); },
    left: () => move(-1, 0), right: () => move(1, 0), up: () => move(0, -1), down: () => move(0, 1),
    close: () => viewer.close(),
  };
  const KEYS = { "+": "in", "=": "in", "-": "out", "_": "out", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) {
      shown = button.closest("[data-picture]").dataset.picture;
      zoom = 0;
      put(button);
      viewer.showModal();
      draw();
    }
    const wanted = event.target.closest("#viewer [data-do]");
    if (wanted) act[wanted.dataset.do]();
  });
  viewer.addEventListener("keydown", (event) => {
    const wanted = KEYS[event.key];
    if (wanted) { event.preventDefault(); act[wanted](); }
  });
  /* The page has drawn its moving part anew: focus goes back to the picture, and what is open shows the best there is. */
  document.addEventListener("tram:new", () => {
    const button = shown && document.querySelector(`[data-picture="${shown}"] [data-zoom]`);
    if (button && viewer.open) put(button);
  });
  viewer.addEventListener("close", () => { document.querySelector(`[data-picture="${shown}"] [data-zoom]`)?.focus(); shown = ""; });
})();
