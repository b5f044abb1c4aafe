using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Where records are kept: a key, its bytes, its revision, and the users it belongs to. Shared by everything
    /// created with it, which keeps it open also when this object is disposed.
    /// </summary>
    /// <remarks>
    /// The methods are for tools: imports, inspections, erasure requests. They block up to their timeout, and
    /// know nothing of sessions: what they write under a key that a server owns makes that server lose it.
    /// Each may throw a <see cref="SessionLockerException"/> with <see cref="SessionLockerStatus.Storage"/> or
    /// <see cref="SessionLockerStatus.Timeout"/>; of a commit or erasure that failed so nobody knows whether it
    /// was written. Any thread.
    /// </remarks>
    public sealed unsafe class LockerStorage : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            storage => NativeMethods.locker_storage_destroy((SlStorage*)storage);

        private LockerStorage(SlStorage* native)
            : base(native, Destroy)
        {
        }

        internal SlStorage* Native
        {
            get { return (SlStorage*)Name; }
        }

        /// <summary>
        /// Opens one of the library's own storages: <c>memory:</c> (in this process), <c>memory:NAME</c> (one for
        /// all of this process that open the name), <c>sqlite:PATH</c> (a database, made if it is not there, for
        /// any number of processes of one machine), <c>sqlite:PATH?synchronous=normal</c>. Of each,
        /// <c>requests_per_second=N</c> and <c>requests_in_flight=N</c> may be among the parameters: limits within which
        /// saves go before loads before sends and tools.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Storage"/>: no such storage, or it could not be opened.
        /// </exception>
        public static LockerStorage Open(string url)
        {
            using (var texts = new Arena())
            {
                SlStorage* storage;
                UIntPtr length;
                byte* text = texts.Needed(url, "url", out length);
                Check.Ok(NativeMethods.locker_storage_open(text, length, &storage), null);
                return new LockerStorage(storage);
            }
        }

        /// <summary>
        /// Makes a storage of the host's own; <see cref="HostStorage"/> says what it must promise. It is asked no more
        /// than <paramref name="requestsPerSecond"/> times in any second, and has no more than
        /// <paramref name="requestsInFlight"/> requests to answer at any time: up to 1 000 000, or 0 for any number.
        /// What may not go yet waits, saves before loads before sends and tools.
        /// </summary>
        /// <exception cref="ArgumentOutOfRangeException">A limit is negative.</exception>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.OutOfRange"/>: a limit is too large.
        /// </exception>
        public static LockerStorage Open(HostStorage storage, int requestsPerSecond = 0, int requestsInFlight = 0)
        {
            return new LockerStorage(HostStorageHook.Open(
                storage, Limit(requestsPerSecond, "requestsPerSecond"), Limit(requestsInFlight, "requestsInFlight")));
        }

        private static uint Limit(int limit, string name)
        {
            if (limit < 0)
            {
                throw new ArgumentOutOfRangeException(name);
            }
            return (uint)limit;
        }

        /// <summary>
        /// What was asked of it by all that were created with it and by tools, and how it has answered. Also inside hooks.
        /// </summary>
        public RequestStats GetStats()
        {
            var stats = new SlRequestStats { struct_size = (uint)sizeof(SlRequestStats) };
            Ok(NativeMethods.locker_storage_get_stats(Native, &stats));
            return new RequestStats(&stats);
        }

        /// <summary>Reads the record under a key.</summary>
        public StorageRecord Fetch(string key, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                int isPresent;
                SlBuffer bytes;
                SlBuffer revision;
                SlBuffer userIds;
                UIntPtr length;
                byte* text = texts.Needed(key, "key", out length);
                Ok(NativeMethods.locker_storage_fetch(
                    Native, text, length, Seconds.Of(timeout), &isPresent, &bytes, &revision, &userIds));
                return new StorageRecord(
                    isPresent != 0, Utf8.TakeBytes(ref bytes), Utf8.Take(ref revision), JsonStrings.Parse(Utf8.Take(ref userIds)));
            }
        }

        /// <summary>
        /// Writes a record if the key is still as a fetch, commit or erasure found it, whose revision
        /// <paramref name="expected"/> is. <paramref name="json"/> is the whole new document,
        /// <paramref name="userIds"/> the users it belongs to (null for none), in place of those stored before.
        /// </summary>
        /// <returns>The revision of the record now.</returns>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Conflict"/>: the key is at another revision; nothing was written.
        /// </exception>
        public string Commit(string key, string json, ICollection<string> userIds, string expected, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                SlBuffer revision;
                UIntPtr keyLength;
                UIntPtr bytesLength;
                UIntPtr expectedLength;
                UIntPtr userCount;
                byte* keyText = texts.Needed(key, "key", out keyLength);
                byte* bytes = texts.Needed(json, "json", out bytesLength);
                byte* expectedText = texts.Needed(expected, "expected", out expectedLength);
                SlText* users = texts.Texts(userIds, out userCount);
                Ok(NativeMethods.locker_storage_commit(
                    Native, keyText, keyLength, bytes, bytesLength, users, userCount, expectedText, expectedLength,
                    Seconds.Of(timeout), &revision));
                return Utf8.Take(ref revision);
            }
        }

        /// <summary>
        /// Removes a record, its user ids too, if the key is at a revision; whatever is there, if that is null.
        /// </summary>
        /// <returns>The revision of the erasure.</returns>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Conflict"/>: the key is at another revision; nothing was erased.
        /// </exception>
        public string Erase(string key, string expected, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                SlBuffer revision;
                UIntPtr keyLength;
                UIntPtr expectedLength;
                byte* keyText = texts.Needed(key, "key", out keyLength);
                byte* expectedText = texts.Text(expected, out expectedLength);
                Ok(NativeMethods.locker_storage_erase(
                    Native, keyText, keyLength, expectedText, expectedLength, Seconds.Of(timeout), &revision));
                return Utf8.Take(ref revision);
            }
        }

        /// <summary>
        /// Lists up to <paramref name="limit"/> keys (1 to 10 000) that begin with <paramref name="prefix"/> (empty
        /// for all), in the order of their bytes, from the first one behind <paramref name="after"/> (empty or null
        /// for the beginning). The last one is <paramref name="after"/> for the next page.
        /// </summary>
        public string[] List(string prefix, string after, int limit, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                SlBuffer keys;
                UIntPtr prefixLength;
                UIntPtr afterLength;
                byte* prefixText = texts.Text(prefix, out prefixLength);
                byte* afterText = texts.Text(after, out afterLength);
                Ok(NativeMethods.locker_storage_list(
                    Native, prefixText, prefixLength, afterText, afterLength, (UIntPtr)Check.NotNegative(limit, "limit"),
                    Seconds.Of(timeout), &keys));
                return JsonStrings.Parse(Utf8.Take(ref keys));
            }
        }

        /// <summary>
        /// The keys of the records that carry a user id, in the order of their bytes: what an erasure request needs.
        /// </summary>
        public string[] KeysOfUser(string userId, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                SlBuffer keys;
                UIntPtr length;
                byte* text = texts.Needed(userId, "userId", out length);
                Ok(NativeMethods.locker_storage_keys_of_user(Native, text, length, Seconds.Of(timeout), &keys));
                return JsonStrings.Parse(Utf8.Take(ref keys));
            }
        }
    }

    /// <summary>What a storage has under a key.</summary>
    public sealed class StorageRecord
    {
        private readonly byte[] bytes;

        internal StorageRecord(bool isPresent, byte[] bytes, string revision, string[] userIds)
        {
            IsPresent = isPresent;
            this.bytes = bytes;
            Revision = revision;
            UserIds = userIds;
        }

        /// <summary>Whether there is a record.</summary>
        public bool IsPresent { get; private set; }

        /// <summary>The document as it is stored; empty if there is none.</summary>
        public string Json
        {
            get { return Encoding.UTF8.GetString(bytes); }
        }

        /// <summary>What a commit or erasure must find to go through, also where there is no record.</summary>
        public string Revision { get; private set; }

        /// <summary>The ids of the users that it belongs to.</summary>
        public string[] UserIds { get; private set; }

        /// <summary>The stored bytes, which need not be a document.</summary>
        public byte[] GetBytes()
        {
            return (byte[])bytes.Clone();
        }
    }

    /// <summary>Spans of time as the library counts them.</summary>
    internal static class Seconds
    {
        /// <summary><see cref="Timeout.InfiniteTimeSpan"/> is for as long as it takes.</summary>
        public static double Of(TimeSpan span)
        {
            return span == Timeout.InfiniteTimeSpan ? double.PositiveInfinity : span.TotalSeconds;
        }
    }
}
