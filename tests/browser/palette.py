"""A screenshot with a palette of 256 colours: a third of the size, and hard to tell from the other."""

from __future__ import annotations

import base64
import struct
import zlib

from playwright.sync_api import Browser

#: in the browser, which has decoder, canvas and deflate: {width, height, palette, rows} of a PNG
_REDUCE = """async (encoded) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + encoded)).blob());
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = canvas.getImageData(0, 0, width, height).data;
  const sums = new Map();
  const keyAt = (i) => (pixels[i] >> 3) << 10 | (pixels[i + 1] >> 3) << 5 | pixels[i + 2] >> 3;
  for (let i = 0; i < pixels.length; i += 4) {
    const key = keyAt(i);
    const sum = sums.get(key) ?? sums.set(key, [0, 0, 0, 0]).get(key);
    for (let c = 0; c < 3; c += 1) sum[c] += pixels[i + c];
    sum[3] += 1;
  }
  const colours = [...sums].map(([key, [r, g, b, n]]) => ({ key, n, rgb: [r / n, g / n, b / n].map(Math.round) }));
  colours.sort((one, other) => other.n - one.n);
  const palette = colours.slice(0, 256).map((each) => each.rgb);
  const away = (one, other) => one.reduce((sum, value, c) => sum + (value - other[c]) ** 2, 0);
  const nearer = (rgb) => (best, each, i) => (away(each, rgb) < away(palette[best], rgb) ? i : best);
  const nearest = (rgb) => palette.reduce(nearer(rgb), 0);
  const index = new Map(colours.map((each, i) => [each.key, i < 256 ? i : nearest(each.rgb)]));
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = index.get(keyAt((y * width + x) * 4));
  }
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = await new Response(stream).arrayBuffer();
  const text = Array.from(new Uint8Array(packed), (byte) => String.fromCharCode(byte)).join("");
  return { width, height, palette: palette.flat(), rows: btoa(text) };
}"""


def reduced(chromium: Browser, png: bytes) -> bytes:
    page = chromium.new_page()
    found = page.evaluate(_REDUCE, base64.b64encode(png).decode())
    page.close()
    head = struct.pack(">IIBBBBB", found["width"], found["height"], 8, 3, 0, 0, 0)
    # the browser packs for speed; once more, for size
    rows = zlib.compress(zlib.decompress(base64.b64decode(found["rows"])), 9)
    chunks = ((b"IHDR", head), (b"PLTE", bytes(found["palette"])), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
