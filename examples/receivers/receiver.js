// A receiver of webhooks: verify, keep, answer. The work is done afterwards.
// Started by with_library.js or by_hand.js, which bring the verification. Node 20 or newer.

const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const BODY_MAX_BYTES = 10_000_000;
// A folder with a file per webhook; in your service it is a table with webhook-id as its primary key.
const INBOX = process.env.INBOX || "inbox";
const PORT = Number(process.env.RECEIVER_PORT || 9000);

// Your work. It may take its time, and it may fail: what is not done is tried again.
async function handle(webhookId, body) {
  console.log(webhookId, body.toString());
}

// Is it new? The link decides, also between two processes. The file is on disk before it is answered.
function keep(webhookId, body) {
  const file = path.join(INBOX, `${encodeURIComponent(webhookId)}.json`);
  const whole = `${file}.${process.pid}.new`;
  fs.writeFileSync(whole, body, { flush: true });
  try {
    fs.linkSync(whole, file);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    fs.unlinkSync(whole);
  }
}

// Do what waits: what came before the last stop, then what comes. One at a time.
let working = Promise.resolve();
function work() {
  working = working.then(async () => {
    for (const name of fs.readdirSync(INBOX).filter((name) => name.endsWith(".json"))) {
      const file = path.join(INBOX, name);
      if (fs.existsSync(`${file}.done`)) continue;
      try {
        await handle(decodeURIComponent(name.slice(0, -".json".length)), fs.readFileSync(file));
        fs.writeFileSync(`${file}.done`, "");
      } catch (error) {
        console.error(error);
      }
    }
  });
}

// The body as the bytes that were sent: they are what is signed. null: there are too many.
async function read(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_MAX_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function receive(request, isGenuine) {
  const body = await read(request);
  if (body === null) return 413;
  if (request.method !== "POST" || !isGenuine(request.headers, body)) return 401;
  const webhookId = request.headers["webhook-id"];
  if (keep(webhookId, body)) work();
  else console.log(webhookId, "came again");
  return 204;
}

exports.serve = (isGenuine) => {
  fs.mkdirSync(INBOX, { recursive: true });
  const server = http.createServer(async (request, response) => {
    try {
      response.statusCode = await receive(request, isGenuine);
    } catch (error) {
      console.error(error);
      response.statusCode = 500;
    }
    response.end();
  });
  server.listen(PORT, "127.0.0.1", () => {
    console.log(`receiving at http://127.0.0.1:${PORT}/`);
    work();
  });
};
