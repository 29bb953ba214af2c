/** One request that waits: its key and its very bytes, so that a repeat is seen as one. */
export interface Parcel {
  readonly id: string;
  readonly body: string;
  readonly at: number;
  readonly place: number;
  sender: string;
}

/** The part of the Web Storage API that is needed. */
export type TextStorage = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const PREFIX = "kafka-gateway";

/** Keeps the waiting requests of each sender over a reload of the page. */
export class ParcelStorage {
  constructor(private readonly storage: TextStorage) {}

  /** Keep a request; throws what the storage throws when it is full. */
  keep(parcel: Parcel): void {
    this.storage.setItem(nameOf(parcel), JSON.stringify(parcel));
  }

  forget(parcel: Parcel): void {
    this.storage.removeItem(nameOf(parcel));
  }

  /** Return what waits for a sender, oldest first. */
  of(sender: string): Parcel[] {
    const found: Parcel[] = [];
    for (let i = 0; i < this.storage.length; i++) {
      const name = this.storage.key(i);
      const text = name?.startsWith(prefixOf(sender)) ? this.storage.getItem(name) : null;
      if (text !== null) found.push(JSON.parse(text) as Parcel);
    }
    return found.sort((a, b) => a.at - b.at || a.place - b.place);
  }
}

function prefixOf(sender: string): string {
  return `${PREFIX}:${encodeURIComponent(sender)}:`;
}

function nameOf(parcel: Parcel): string {
  return prefixOf(parcel.sender) + parcel.id;
}
