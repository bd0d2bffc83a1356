"use strict";
/* A photo on its way into a request: a file that sends itself once chosen, and the browser's own camera. */

(() => {
  const upload = document.getElementById("upload");
  if (upload) {
    const file = document.getElementById("in-picture"), said = document.getElementById("upload-said");
    for (const button of document.querySelectorAll("[data-no-script]")) button.hidden = true;
    const say = (words) => { said.textContent = words; said.hidden = !words; };
    file.addEventListener("change", () => {
      if (!file.files.length) return;
      if (file.files[0].size > Number(upload.dataset.most)) { say(upload.dataset.large); file.value = ""; return; }
      say(upload.dataset.working);
      upload.requestSubmit();
    });
    /* The caption goes along to the page with the camera. */
    const caption = document.getElementById("in-caption"), camera = document.getElementById("use-camera");
    camera.addEventListener("click", () => sessionStorage.setItem("caption", caption.value));
  }

  const camera = document.getElementById("camera");
  if (!camera) return;
  const view = document.getElementById("view"), shoot = document.getElementById("shoot"), other = document.getElementById("other");
  const said = document.getElementById("camera-said");
  let stream = null, devices = [], at = 0;
  const say = (words) => { said.textContent = words; said.hidden = !words; };
  const stop = () => { if (stream) for (const track of stream.getTracks()) track.stop(); stream = null; };

  const start = async () => {
    stop();
    shoot.disabled = true;
    try {
      const wanted = devices.length ? { deviceId: { exact: devices[at].deviceId } } : { facingMode: "environment" };
      stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...wanted, width: { ideal: 1920 }, height: { ideal: 1080 } } });
      view.srcObject = stream;
      await view.play();
      devices = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
      other.hidden = devices.length < 2;
      shoot.disabled = false;
      say("");
    } catch (error) {
      say(error && error.name === "NotAllowedError" ? camera.dataset.denied : camera.dataset.none);
    }
  };

  camera.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!stream || !view.videoWidth) return;
    shoot.disabled = true;
    say(camera.dataset.working);
    const canvas = document.createElement("canvas");
    canvas.width = view.videoWidth;
    canvas.height = view.videoHeight;
    canvas.getContext("2d").drawImage(view, 0, 0);
    canvas.toBlob(async (blob) => {
      const form = new FormData();
      form.append("csrf", camera.elements.csrf.value);
      form.append("source", "browser");
      form.append("caption", sessionStorage.getItem("caption") || "");
      form.append("picture", blob, "camera.jpg");
      try {
        const answer = await fetch(camera.action, { method: "POST", body: form, credentials: "same-origin" });
        if (answer.redirected) { sessionStorage.removeItem("caption"); stop(); location.assign(answer.url); return; }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        say(page.querySelector(".problem strong")?.textContent || camera.dataset.failed);
      } catch (_error) {
        say(camera.dataset.failed);
      }
      delete camera.dataset.sent;
      shoot.disabled = false;
    }, "image/jpeg", 0.92);
  });
  other.addEventListener("click", () => { at = (at + 1) % devices.length; start(); });
  addEventListener("pagehide", stop);
  start();
})();
