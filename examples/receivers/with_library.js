// Receives what is signed by Standard Webhooks: npm install standardwebhooks

const { Webhook } = require("standardwebhooks");
const { serve } = require("./receiver");

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

function isGenuine(headers, body) {
  try {
    webhook.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

serve(isGenuine);
