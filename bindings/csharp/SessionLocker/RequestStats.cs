using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// What was asked of a storage, how it has answered, and who waits: of a storage, from
    /// <see cref="LockerStorage.GetStats"/>, or of a store's sessions and sends, from <see cref="EasyStore.GetStats"/>.
    /// All figures count from when it was opened or created, save those that say now.
    /// </summary>
    /// <remarks>
    /// Each request is in one place: <see cref="Requests"/> is <see cref="Answers"/>, <see cref="Refused"/>,
    /// <see cref="GivenUp"/> and <see cref="InFlight"/> together, and for a storage those of <see cref="Waiting"/> too.
    /// Figures of what other threads are using meanwhile may be a few requests apart.
    /// </remarks>
    public sealed unsafe class RequestStats
    {
        internal RequestStats(SlRequestStats* native)
        {
            Fetches = checked((long)native->fetches);
            Commits = checked((long)native->commits);
            Erasures = checked((long)native->erasures);
            Lists = checked((long)native->lists);
            Retries = checked((long)native->retries);
            Conflicts = checked((long)native->conflicts);
            FailuresScript = checked((long)native->failures_script);
            FailuresMisc = checked((long)native->failures_misc);
            FailuresBackend = checked((long)native->failures_backend);
            GivenUp = checked((long)native->given_up);
            Refused = checked((long)native->refused);
            BytesRead = checked((long)native->bytes_read);
            BytesWritten = checked((long)native->bytes_written);
            InFlight = checked((long)native->in_flight);
            MostInFlight = checked((long)native->most_in_flight);
            Waiting = new WaitingRequests(native->waiting_saves, native->waiting_loads, native->waiting_others);
            MostWaiting = new WaitingRequests(
                native->most_waiting_saves, native->most_waiting_loads, native->most_waiting_others);
            Latencies = new long[NativeMethods.SL_LATENCY_BUCKETS];
            for (int bucket = 0; bucket < Latencies.Length; bucket++)
            {
                Latencies[bucket] = checked((long)native->latencies[bucket]);
            }
        }

        /// <summary>Fetches asked.</summary>
        public long Fetches { get; private set; }

        /// <summary>Commits asked: acquires, saves, releases, and remote changes sent.</summary>
        public long Commits { get; private set; }

        /// <summary>Erasures asked.</summary>
        public long Erasures { get; private set; }

        /// <summary>Lists asked, of keys or of a user's keys.</summary>
        public long Lists { get; private set; }

        /// <summary>
        /// How many of these were asked because the request before, of the same session or of a send to the same key,
        /// had failed, was not answered in time, or had met a conflict.
        /// </summary>
        public long Retries { get; private set; }

        /// <summary>Answers that were a conflict: somebody else had written.</summary>
        public long Conflicts { get; private set; }

        /// <summary>Answers that were a failure of the kind <see cref="RequestErrorKind.Script"/>.</summary>
        public long FailuresScript { get; private set; }

        /// <summary>Answers that were a failure of the kind <see cref="RequestErrorKind.Misc"/>.</summary>
        public long FailuresMisc { get; private set; }

        /// <summary>Answers that were a failure of the kind <see cref="RequestErrorKind.Backend"/>.</summary>
        public long FailuresBackend { get; private set; }

        /// <summary>
        /// Requests whose answer a store has stopped waiting for, mostly because it did not come in time. 0 for a storage.
        /// </summary>
        public long GivenUp { get; private set; }

        /// <summary>
        /// Requests that were refused because too many waited for the storage's limits. 0 for a store, to which they are
        /// failures like others.
        /// </summary>
        public long Refused { get; private set; }

        /// <summary>Bytes of the values that fetches have brought.</summary>
        public long BytesRead { get; private set; }

        /// <summary>Bytes of the values of all commits asked, whatever became of them.</summary>
        public long BytesWritten { get; private set; }

        /// <summary>Requests that were handed over and are not answered, now.</summary>
        public long InFlight { get; private set; }

        /// <summary>The most of them there ever were.</summary>
        public long MostInFlight { get; private set; }

        /// <summary>Who waits, now: for the limits of the storage, or those of the store's config.</summary>
        public WaitingRequests Waiting { get; private set; }

        /// <summary>The most that ever waited.</summary>
        public WaitingRequests MostWaiting { get; private set; }

        /// <summary>
        /// How many answers took how long. A bucket has those that took less than its <see cref="LatencyBound"/>, and at
        /// least that of the bucket before.
        /// </summary>
        public long[] Latencies { get; private set; }

        /// <summary>All that was asked.</summary>
        public long Requests
        {
            get { return Fetches + Commits + Erasures + Lists; }
        }

        /// <summary>All that was answered, in whatever way.</summary>
        public long Answers
        {
            get
            {
                long sum = 0;
                foreach (long count in Latencies)
                {
                    sum += count;
                }
                return sum;
            }
        }

        /// <summary>
        /// What the answers of a bucket of <see cref="Latencies"/> took less than: 16 microseconds for the first, twice as
        /// much for each that follows; <see cref="TimeSpan.MaxValue"/> for the last.
        /// </summary>
        public static TimeSpan LatencyBound(int bucket)
        {
            if (bucket < 0 || bucket >= NativeMethods.SL_LATENCY_BUCKETS)
            {
                throw new ArgumentOutOfRangeException("bucket");
            }
            const long TicksPerMicrosecond = TimeSpan.TicksPerMillisecond / 1000;
            bool isLast = bucket == NativeMethods.SL_LATENCY_BUCKETS - 1;
            long ticks = ((long)NativeMethods.SL_LATENCY_FIRST_US << bucket) * TicksPerMicrosecond;
            return isLast ? TimeSpan.MaxValue : TimeSpan.FromTicks(ticks);
        }
    }

    /// <summary>How many wait, the ones that go first being the first.</summary>
    public struct WaitingRequests
    {
        internal WaitingRequests(ulong saves, ulong loads, ulong others)
            : this()
        {
            Saves = checked((long)saves);
            Loads = checked((long)loads);
            Others = checked((long)others);
        }

        /// <summary>Saves.</summary>
        public long Saves { get; private set; }

        /// <summary>Loads.</summary>
        public long Loads { get; private set; }

        /// <summary>All else: remote changes on their way, and tools.</summary>
        public long Others { get; private set; }
    }
}
