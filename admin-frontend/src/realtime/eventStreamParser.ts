export interface StreamEvent {
  /** `message`, unless it has a name. */
  name: string;
  data: string;
}

/** Reads Server-Sent Events as the HTML standard says. Ids are not looked at: the messages have their own. */
export class EventStreamParser {
  #rest = '';
  #name = '';
  #data: string[] = [];

  /** Take what came, in pieces of any size; return the events that are complete. */
  push(text: string): StreamEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line: string): StreamEvent | null {
    if (line === '') return this.#complete();
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#name = value;
    return null;
  }

  #complete(): StreamEvent | null {
    const [name, data] = [this.#name, this.#data];
    this.#name = '';
    this.#data = [];
    return data.length === 0 ? null : { name: name === '' ? 'message' : name, data: data.join('\n') };
  }
}
