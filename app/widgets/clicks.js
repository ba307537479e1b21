// Clicks and a box on a photo, in pixels of its canvas; the server grows them to a mask.
icm.clicks = (() => {
  const NONE = Object.freeze({ inside: [], outside: [], box: null });
  const LEAST = 6; // screen pixels: a shorter drag is a click

  const added = (clicks, side, place) => ({ ...clicks, [side]: [...clicks[side], place] });
  const some = (clicks) => clicks.inside.length > 0 || clicks.box !== null;
  // The box between two corners, or null where they are too close for one.
  function boxed([x, y], [u, v], pixel) {
    if (Math.abs(x - u) < LEAST * pixel || Math.abs(y - v) < LEAST * pixel) return null;
    return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
  }
  // The same in shares of width and height, inside the photo.
  function shares({ inside, outside, box }, width, height) {
    const share = (value, length) => Math.max(0, Math.min(1, value / length));
    const place = ([x, y]) => [share(x, width), share(y, height)];
    return {
      inside: inside.map(place), outside: outside.map(place),
      box: box && [...place(box.slice(0, 2)), ...place(box.slice(2))],
    };
  }
  async function grow(key, clicks, width, height) {
    const body = JSON.stringify(shares(clicks, width, height));
    const response = await icm.post(`${icm.token}/${key}/grow`, body, { "Content-Type": "application/json" });
    return createImageBitmap(await response.blob());
  }
  return { NONE, added, some, boxed, shares, grow };
})();
