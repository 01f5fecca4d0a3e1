// Files that are chosen or dropped, alone and in folders, as a list of { file, path }.
const byPath = new Intl.Collator(undefined, { numeric: true });
const ordered = (found) => found.sort((one, other) => byPath.compare(one.path, other.path));

export function chosen(files) {
  const found = [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  return found.some(({ path }) => path.includes("/")) ? ordered(found) : found;
}

// Return the files below what was dropped, and the paths of what cannot be read.
export async function dropped(items) {
  const found = [];
  const unreadable = [];
  const files = [...items].filter((item) => item.kind === "file");
  const entries = files.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()); // known only during the event
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, path: entry.name });
    else if (entry) await walk(entry, found, unreadable);
  }
  return [ordered(found), unreadable];
}

async function walk(entry, found, unreadable) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
      return;
    }
    const reader = entry.createReader();
    for (let some = await next(reader); some.length; some = await next(reader)) {
      for (const below of some) await walk(below, found, unreadable);
    }
  } catch {
    unreadable.push(path);
  }
}

const next = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
