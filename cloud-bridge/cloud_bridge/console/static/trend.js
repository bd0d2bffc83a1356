/* The chart of readings: values as measured, no limits, no zones; a gap stays a gap; the two of a blood pressure stay together. */
(() => {
  "use strict";

  const ZONE = "Asia/Ho_Chi_Minh";
  const hour = new Intl.DateTimeFormat("vi-VN", { timeZone: ZONE, hour: "2-digit", minute: "2-digit", hour12: false });
  const date = new Intl.DateTimeFormat("vi-VN", { timeZone: ZONE, day: "2-digit", month: "2-digit" });
  const full = new Intl.DateTimeFormat("vi-VN", {
    timeZone: ZONE, day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });
  const INK = "#17605c";
  const SOFT = "#5d6f6d";
  const GRID = "#e3e9e7";
  const FONT = '12px "Be Vietnam Pro", "Noto Sans", "Segoe UI", Roboto, Arial, sans-serif';
  let charts = [];
  let drawn = "";

  const TEST = "#57218f"; // the colour of the ribbon: test data is a square, wherever it stands
  const HOLLOW = 1;
  const INVENTED = 2;

  const dot = (context, x, y, mark) => {
    const ratio = window.devicePixelRatio || 1;
    const ink = mark & INVENTED ? TEST : INK;
    context.beginPath();
    if (mark & INVENTED) context.rect(x - 3.5 * ratio, y - 3.5 * ratio, 7 * ratio, 7 * ratio);
    else context.arc(x, y, 3.5 * ratio, 0, 2 * Math.PI);
    context.fillStyle = mark & HOLLOW ? "#fff" : ink;
    context.fill();
    context.lineWidth = 1.5 * ratio;
    context.strokeStyle = ink;
    context.stroke();
  };

  /* Bars from the systolic to the diastolic value; a dot where only one of the two is there. */
  const pairs = (points) => (chart) => {
    const context = chart.ctx;
    context.save();
    for (const [at, high, low, mark] of points) {
      const x = chart.valToPos(at, "x", true);
      const ends = [high, low].filter((value) => value !== null).map((value) => chart.valToPos(value, "y", true));
      if (ends.length === 2) {
        context.beginPath();
        context.moveTo(x, ends[0]);
        context.lineTo(x, ends[1]);
        context.lineWidth = 3 * (window.devicePixelRatio || 1);
        context.strokeStyle = mark & INVENTED ? TEST : INK;
        context.stroke();
      }
      for (const y of ends) dot(context, x, y, mark);
    }
    context.restore();
  };

  /* Lines are drawn here and not by the library: where points share a pixel it would join what a gap parts. */
  const dots = (points) => (chart) => {
    const context = chart.ctx;
    const place = ([at, value, mark]) => (value === null ? null : [chart.valToPos(at, "x", true), chart.valToPos(value, "y", true), mark]);
    const places = points.map(place);
    context.save();
    context.lineWidth = 1.5 * (window.devicePixelRatio || 1);
    context.strokeStyle = "#8fb3b0";
    context.beginPath();
    places.forEach((one, number) => {
      const before = places[number - 1];
      if (!one || !before) return;
      context.moveTo(before[0], before[1]);
      context.lineTo(one[0], one[1]);
    });
    context.stroke();
    for (const one of places) if (one) dot(context, ...one);
    context.restore();
  };

  const span = (panels) => {
    const times = panels.flatMap((panel) => panel.points.map((point) => point[0]));
    const [first, last] = [Math.min(...times), Math.max(...times)];
    const room = Math.max((last - first) * 0.05, 900);
    return [first - room, last + room];
  };

  /* Room around the values, so that a line of equal values does not stand on the frame; never a clinical range. */
  const room = (low, high) => {
    const more = Math.max((high - low) * 0.2, 5);
    return [Math.floor(low - more), Math.ceil(high + more)];
  };

  const options = (panel, width, range, last, word) => {
    const paired = panel.id === "bp";
    const days = range[1] - range[0] > 86400;
    return {
      width, height: (paired ? 170 : 130) + (last ? 30 : 0),
      padding: [8, 24, 4, 0], // the same everywhere: the panels' times stand one above the other
      legend: { show: true, live: true },
      cursor: { sync: { key: "tram" }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => range }, y: { range: (_, low, high) => room(low ?? 0, high ?? 1) } },
      axes: [
        {
          show: last, font: FONT, stroke: SOFT, grid: { stroke: GRID }, ticks: { stroke: GRID },
          values: (_, times) => times.map((at) => (days ? `${date.format(at * 1000)}\n${hour.format(at * 1000)}` : hour.format(at * 1000))),
        },
        { font: FONT, stroke: SOFT, grid: { stroke: GRID }, ticks: { stroke: GRID }, size: 64, label: `${panel.name} · ${panel.unit}`, labelFont: FONT, labelSize: 22 },
      ],
      series: [
        { label: word, value: (_, at) => (at === null ? "" : full.format(at * 1000)) },
        ...panel.labels.map((label) => ({
          label, stroke: "transparent", width: 0, points: { show: false }, spanGaps: false,
          value: (_, value) => (value === null || value === undefined ? "–" : `${String(value).replace(".", ",")} ${panel.unit}`),
        })),
      ],
      hooks: { draw: [paired ? pairs(panel.points) : dots(panel.points)] },
    };
  };

  const draw = () => {
    const place = document.getElementById("trend");
    if (!place || !window.uPlot) return;
    const told = place.dataset.trend + place.clientWidth;
    if (told === drawn && place.childElementCount) return;
    drawn = told;
    charts.forEach((chart) => chart.destroy());
    place.replaceChildren();
    const { panels, time } = JSON.parse(place.dataset.trend);
    if (!panels.length) return;
    const range = span(panels);
    charts = panels.map((panel, number) => {
      const columns = [panel.points.map((point) => point[0]), ...panel.labels.map((_, n) => panel.points.map((point) => point[n + 1]))];
      return new window.uPlot(options(panel, place.clientWidth, range, number === panels.length - 1, time), columns, place);
    });
  };

  document.addEventListener("tram:new", draw);
  let timer = 0;
  window.addEventListener("resize", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(draw, 150);
  });
  draw();
})();
