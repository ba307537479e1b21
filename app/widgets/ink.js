// The mask of a photo on a canvas of its own, as alpha of white, and how it is shown over the photo.
icm.ink = (canvas) => {
  const FILL = "#ff2d78", LINE = "#c2185b";
  const copyOf = (source) => {
    const copy = document.createElement("canvas");
    copy.width = source.width;
    copy.height = source.height;
    copy.getContext("2d").drawImage(source, 0, 0);
    return copy;
  };
  const mask = document.createElement("canvas"), tint = document.createElement("canvas");
  const edge = document.createElement("canvas");
  const ink = mask.getContext("2d", { willReadFrequently: true }), paper = canvas.getContext("2d");

  function open(width, height) {
    for (const each of [mask, canvas]) { each.width = width; each.height = height; }
  }
  const clear = () => ink.clearRect(0, 0, mask.width, mask.height);
  function restore(copy) {
    clear();
    ink.drawImage(copy, 0, 0);
  }
  // Adds a grey picture, white on the object, to what is there.
  function add(image) {
    const grey = document.createElement("canvas");
    grey.width = mask.width;
    grey.height = mask.height;
    const context = grey.getContext("2d");
    context.drawImage(image, 0, 0, mask.width, mask.height);
    const pixels = context.getImageData(0, 0, mask.width, mask.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i];
      pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = 255;
    }
    context.putImageData(pixels, 0, 0);
    ink.drawImage(grey, 0, 0);
  }
  function paint(from, to, width, erase) {
    ink.globalCompositeOperation = erase ? "destination-out" : "source-over";
    ink.strokeStyle = "#fff";
    ink.lineCap = ink.lineJoin = "round";
    ink.lineWidth = width;
    ink.beginPath();
    ink.moveTo(...from);
    ink.lineTo(to[0] + 0.01, to[1]);
    ink.stroke();
    ink.globalCompositeOperation = "source-over";
  }
  function fill(points) {
    ink.fillStyle = "#fff";
    ink.beginPath();
    points.forEach(([x, y]) => ink.lineTo(x, y));
    ink.fill();
  }
  function share() { // of the photo that is marked
    const { data } = ink.getImageData(0, 0, mask.width, mask.height);
    let marked = 0;
    for (let i = 3; i < data.length; i += 4) marked += data[i] >= 128;
    return marked / (mask.width * mask.height);
  }

  function coloured(source, colour) {
    tint.width = source.width;
    tint.height = source.height;
    const context = tint.getContext("2d");
    context.drawImage(source, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, tint.width, tint.height);
    return tint;
  }
  // `pixel` is the length of a screen pixel on the canvas.
  function draw(pixel, { outlined, lasso, box, clicks }) {
    paper.clearRect(0, 0, canvas.width, canvas.height);
    paper.globalAlpha = 0.42;
    paper.drawImage(coloured(mask, FILL), 0, 0);
    paper.globalAlpha = 1;
    if (outlined) outline(pixel);
    if (lasso) dashed(pixel, lasso);
    if (box) {
      const [left, top, right, bottom] = box;
      dashed(pixel, [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]);
    }
    clicks.inside.forEach((place) => dot(pixel, place, "+"));
    clicks.outside.forEach((place) => dot(pixel, place, "−"));
  }
  function outline(pixel) { // the mask grown by a line's width, less the mask
    const line = Math.max(1, Math.round(1.5 * pixel));
    for (const [colour, reach] of [["#ffffff", 2 * line], [LINE, line]]) {
      coloured(mask, colour);
      edge.width = mask.width;
      edge.height = mask.height;
      const context = edge.getContext("2d");
      for (let turn = 0; turn < 8; turn++) {
        const angle = turn * Math.PI / 4;
        context.drawImage(tint, Math.cos(angle) * reach, Math.sin(angle) * reach);
      }
      context.globalCompositeOperation = "destination-out";
      context.drawImage(mask, 0, 0);
      paper.drawImage(edge, 0, 0);
    }
  }
  function dashed(pixel, points) {
    paper.lineWidth = 2 * pixel;
    for (const [colour, dash] of [["#fff", []], [LINE, [6, 6]]]) {
      paper.strokeStyle = colour;
      paper.setLineDash(dash.map((length) => length * pixel));
      paper.beginPath();
      points.forEach(([x, y]) => paper.lineTo(x, y));
      paper.stroke();
    }
    paper.setLineDash([]);
  }
  function dot(pixel, [x, y], sign) {
    paper.beginPath();
    paper.arc(x, y, 8 * pixel, 0, 2 * Math.PI);
    paper.fillStyle = sign === "+" ? "#136c34" : "#b3261e";
    paper.fill();
    paper.lineWidth = 2 * pixel;
    paper.strokeStyle = "#fff";
    paper.stroke();
    paper.font = `bold ${14 * pixel}px sans-serif`;
    paper.textAlign = "center";
    paper.textBaseline = "middle";
    paper.fillStyle = "#fff";
    paper.fillText(sign, x, y);
  }
  return { open, clear, restore, add, paint, fill, share, draw, copy: () => copyOf(mask),
    blob: () => new Promise((done) => mask.toBlob(done, "image/png")) };
};
