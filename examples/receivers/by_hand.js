// The same without a library: the functions of docs/verifying.md.

const crypto = require("node:crypto");
const { serve } = require("./receiver");

function same(a, b) {
  const [x, y] = [Buffer.from(a, "utf8"), Buffer.from(b, "utf8")];
  return x.length === y.length && crypto.timingSafeEqual(x, y);
}

// `headers` has lower-case names, `body` is a Buffer.
function verifyStandard(secret, headers, body, toleranceSeconds = 300) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signatures = headers["webhook-signature"];
  if (!id || !/^\d+$/.test(timestamp || "") || !signatures) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > toleranceSeconds) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const expected = "v1," + crypto.createHmac("sha256", key).update(signed).digest("base64");
  return signatures.split(" ").some((given) => same(expected, given));
}

serve((headers, body) => verifyStandard(process.env.WEBHOOK_SECRET, headers, body));
