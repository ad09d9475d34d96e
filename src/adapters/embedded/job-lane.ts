/** A job that stands in a queue: its row, and how often it came back, as `JobDelivery.returns` counts. */
export interface WaitingJob {
  readonly id: number;
  readonly body: string;
  readonly returns: number;
}

export interface LaneConsumer {
  /** Whether it takes a job now. */
  ready(): boolean;
  take(job: WaitingJob): void;
}

const maxLoadedJobs = 2_000;
const maxLoadedCharacters = 8 * 1024 * 1024;
const pageSize = 500;

/**
 * What one queue delivers next. It holds a bounded part of the queue's jobs in memory, the oldest ones, and loads more
 * from the file when they are used up. Jobs that were given back go to the end of what is loaded, so that a job that
 * nobody can run now does not keep others from running.
 */
export class JobLane {
  readonly #loadPage: (after: number, limit: number) => WaitingJob[];
  readonly #consumers: LaneConsumer[] = [];
  #loaded: WaitingJob[] = [];
  #head = 0;
  #loadedCharacters = 0;
  /** Every job up to this id was loaded, delivered or acknowledged. */
  #loadedTo = 0;
  /** Whether the file may hold jobs beyond `#loadedTo`. At first it may: those of a former process. */
  #moreInFile = true;
  #pumping = false;

  constructor(loadPage: (after: number, limit: number) => WaitingJob[]) {
    this.#loadPage = loadPage;
  }

  /** Jobs in memory that wait to be delivered. Those beyond `loadedTo` wait in the file alone. */
  get loaded(): number {
    return this.#loaded.length - this.#head;
  }

  get loadedTo(): number {
    return this.#loadedTo;
  }

  /** A new job was committed. Its id is higher than any before. */
  add(job: WaitingJob): void {
    // Behind jobs that are not loaded it must wait for them; the file has it.
    if (this.#moreInFile || this.#isFull()) {
      this.#moreInFile = true;
    } else {
      this.#load(job);
    }
    this.pump();
  }

  /** Takes a delivered job back, to be delivered again. Bounded by what consumers may hold. */
  giveBack(job: WaitingJob): void {
    this.#push({ ...job, returns: job.returns + 1 });
    this.pump();
  }

  attach(consumer: LaneConsumer): void {
    this.#consumers.push(consumer);
    this.pump();
  }

  detach(consumer: LaneConsumer): void {
    const index = this.#consumers.indexOf(consumer);
    if (index >= 0) this.#consumers.splice(index, 1);
  }

  /** Delivers what can be delivered, a moment later, so that no consumer is called from within its own call. */
  pump(): void {
    if (this.#pumping || this.#consumers.length === 0) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    for (let consumer = this.#nextReady(); consumer; consumer = this.#nextReady()) {
      const job = this.#take();
      if (!job) return;
      consumer.take(job);
    }
  }

  /** Consumers take turns. */
  #nextReady(): LaneConsumer | undefined {
    const index = this.#consumers.findIndex((consumer) => consumer.ready());
    if (index < 0) return undefined;
    const [consumer] = this.#consumers.splice(index, 1);
    if (consumer) this.#consumers.push(consumer);
    return consumer;
  }

  #take(): WaitingJob | undefined {
    if (this.#head === this.#loaded.length) this.#loadMore();
    const job = this.#loaded[this.#head];
    if (!job) return undefined;
    this.#head += 1;
    this.#loadedCharacters -= job.body.length;
    if (this.#head === this.#loaded.length || this.#head === pageSize) {
      this.#loaded = this.#loaded.slice(this.#head);
      this.#head = 0;
    }
    return job;
  }

  #loadMore(): void {
    if (!this.#moreInFile) return;
    const page = this.#loadPage(this.#loadedTo, pageSize);
    for (const job of page) this.#load(job);
    this.#moreInFile = page.length === pageSize;
  }

  #load(job: WaitingJob): void {
    this.#loadedTo = job.id;
    this.#push(job);
  }

  #push(job: WaitingJob): void {
    this.#loaded.push(job);
    this.#loadedCharacters += job.body.length;
  }

  #isFull(): boolean {
    return this.loaded >= maxLoadedJobs || this.#loadedCharacters >= maxLoadedCharacters;
  }
}
