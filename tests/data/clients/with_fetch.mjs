// Node's own fetch against one base URL; prints what it saw as one JSON list.
import { createHash } from "node:crypto";

const base = process.argv[2];
const upload = Buffer.alloc(256 * 1024);
for (let at = 0; at < upload.length; at += 1) upload[at] = at % 256;

const rows = [];

async function read(name, method, path, more = {}) {
  const response = await fetch(base + path, { method, signal: AbortSignal.timeout(20000), ...more });
  const pieces = [];
  if (response.body) for await (const piece of response.body) pieces.push(piece);
  const body = Buffer.concat(pieces);
  rows.push({
    name,
    status: response.status,
    headers: Object.fromEntries(response.headers),
    bytes: body.length,
    sha256: createHash("sha256").update(body).digest("hex"),
    text: body.length < 4096 ? body.toString("latin1") : "",
  });
}

function pieces() {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= upload.length) return controller.close();
      controller.enqueue(new Uint8Array(upload.subarray(at, at + 4096)));
      at += 4096;
    },
  });
}

await read("success", "GET", "/plain/success?q=a%20b&q=c", { headers: { "X-Probe": "1" } });
await read("upload", "POST", "/plain/upload", { body: upload });
await read("chunked", "POST", "/plain/upload", { body: pieces(), duplex: "half" });
await read("stream", "GET", "/plain/stream");
await read("head", "HEAD", "/plain/success");
await read("missing", "GET", "/plain/missing");
await read("limited", "GET", "/limited/limited");
await read("down", "GET", "/down/down");
console.log(JSON.stringify(rows));
