() => {
  /* What is wrong with the page as it stands: targets too small or too near, lines too tight, words too pale, buttons out of place. */
  const wrong = [];
  const seen = (one) => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return box.width > 0 && box.height > 0 && style.visibility !== "hidden" && style.opacity !== "0";
  };
  const onTop = (one) => {
    const box = one.getBoundingClientRect();
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return false;
    const hit = document.elementFromPoint(x, y);
    return hit !== null && (one === hit || one.contains(hit) || hit.contains(one));
  };
  const name = (one) => `${one.tagName.toLowerCase()} "${one.textContent.trim().replace(/\s+/g, " ").slice(0, 40)}"`;
  const targets = [...document.querySelectorAll("a, button, .choice, input[type=text], input[type=search], textarea")].filter((one) => seen(one) && onTop(one));
  for (const one of targets) {
    const box = one.getBoundingClientRect(), least = one.matches(".primary, .stop") ? 64 : 56;
    if (one.closest(".bar")) continue;
    if (box.height < least - 0.5 || box.width < 56 - 0.5) wrong.push(`${name(one)} is ${Math.round(box.width)} x ${Math.round(box.height)} px`);
  }
  targets.forEach((one, n) => targets.slice(n + 1).forEach((other) => {
    if (one.contains(other) || other.contains(one)) return;
    const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
    const across = Math.max(a.left, b.left) - Math.min(a.right, b.right), down = Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom);
    const scrolled = one.closest("main") !== other.closest("main");
    if (Math.max(across, down) < 7.5 && !scrolled) wrong.push(`${name(one)} is ${Math.round(Math.max(across, down))} px from ${name(other)}`);
  }));
  const primary = [...document.querySelectorAll(".actions .primary")].filter(seen).pop();
  if (primary) {
    const box = primary.getBoundingClientRect();
    if (innerWidth - box.right > 24 || innerHeight - box.bottom > 24) wrong.push(`${name(primary)} is not at the bottom right`);
  }
  const parse = (text) => { const part = text.match(/[\d.]+/g).map(Number); return part.length > 3 ? part : [...part, 1]; };
  const paper = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at), colour = parse(style.backgroundColor);
      if (colour[3] > 0.99) return colour;
      if (style.backgroundImage !== "none") return [255, 246, 218, 1];
    }
    return [255, 255, 255, 1];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => { const x = part / 255; return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const one = node.parentElement;
    if (!node.data.trim() || !seen(one) || one.closest("script, svg")) continue;
    const style = getComputedStyle(one), size = parseFloat(style.fontSize);
    const ratio = (Math.max(light(parse(style.color)), light(paper(one))) + 0.05) / (Math.min(light(parse(style.color)), light(paper(one))) + 0.05);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`"${node.data.trim().slice(0, 40)}" has contrast ${ratio.toFixed(2)}`);
    if (size < 14) wrong.push(`"${node.data.trim().slice(0, 40)}" is ${size} px`);
    const tight = parseFloat(style.lineHeight) / size;
    if (tight < 1.39 && /\p{L}/u.test(node.data)) wrong.push(`"${node.data.trim().slice(0, 40)}" has lines of ${tight.toFixed(2)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the screen");
  return [...new Set(wrong)];
}
