// Uploading a photograph to the program.
import { cards, forget, page, poll, wait } from "./program.js";

const AGAIN = 3000; // milliseconds until a busy program is asked again
const NO_ROOM = 15000; // milliseconds until a full program or disk is tried again

export function send(card) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const { run, saturation } = card.chosen();
    card.request = request;
    request.open("POST", `photographs?${new URLSearchParams({ page, name: card.name, run, saturation })}`);
    request.responseType = "json";
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) card.busy("Uploading", event.loaded / event.total);
    });
    request.addEventListener("loadend", async () => {
      card.request = null;
      await ended(card, request, { run, saturation, hints: [], variant: 0 });
      resolve();
    });
    card.state = "sending";
    card.busy("Uploading", 0);
    request.send(card.file);
  });
}

// The upload has ended, one way or another.
async function ended(card, request, settings) {
  if (request.status === 201) {
    card.key = request.response.key;
    card.state = "waiting";
    card.shown = "";
    wait(0);
    if (!cards.has(card)) forget([card]);
    else if (card.wants(settings)) card.busy("Waiting");
    else card.changed();
  } else if (cards.has(card)) await refused(card, request);
}

async function refused(card, { status, response }) {
  const problem = response?.problem ?? "the program refused it";
  if ([429, 503].includes(status)) wait(AGAIN);
  else if (status === 507) wait(NO_ROOM, problem);
  else if (status) card.fail(problem);
  else if (!(await readable(card.file))) {
    card.fail("the file cannot be read: it was moved, changed or deleted; choose it again");
  } else if ((await poll()) && ++card.broken === 3) card.fail("its upload broke off three times");
  if (card.state !== "sending") return;
  card.state = "queued";
  card.busy("Waiting");
}

const readable = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(() => true)
    .catch(() => false);
