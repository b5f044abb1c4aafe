using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// A storage of the host's own, opened with <see cref="LockerStorage.Open(HostStorage, int, int)"/>. It maps a key to
    /// bytes, a revision and user ids.
    /// </summary>
    /// <remarks>
    /// <para>It promises:</para>
    /// <list type="bullet">
    /// <item><description>A revision is never used twice for a key, across erasure too.</description></item>
    /// <item><description>
    /// Committed, conflict and absent are facts. Whatever is not certain is answered with
    /// <see cref="StorageRequest.Failed"/>; a commit whose fate is not known is never repeated by the storage.
    /// </description></item>
    /// <item><description>A fetch sees every commit that was answered before the fetch was asked.</description></item>
    /// <item><description>Committed means durable.</description></item>
    /// <item><description>
    /// Every request is answered once, inside the method or later, from any thread. One that never is keeps a
    /// session waiting until its request timeout, and counts as failed then.
    /// </description></item>
    /// </list>
    /// <para>
    /// The methods run on the thread that called in, perhaps several at once if the host uses the storage from
    /// several threads. They must not block. One that throws has answered: the request has failed.
    /// </para>
    /// </remarks>
    public abstract class HostStorage
    {
        /// <summary>
        /// Reads a record: <see cref="StorageRequest.Fetched"/> or <see cref="StorageRequest.Absent"/>.
        /// </summary>
        public abstract void Fetch(StorageRequest request, string key);

        /// <summary>
        /// Writes a record if the key is as expected: <see cref="StorageRequest.Committed"/> or
        /// <see cref="StorageRequest.Conflict"/>.
        /// </summary>
        public abstract void Commit(StorageRequest request, StorageCommit commit);

        /// <summary>
        /// Removes a record if the key is as expected, and remembers the revision of the erasure for at least
        /// 24 hours: <see cref="StorageRequest.Erased"/> or <see cref="StorageRequest.Conflict"/>. Erasing what is
        /// absent makes a new revision too.
        /// </summary>
        public abstract void Erase(StorageRequest request, string key, Expected expected, string revision);

        /// <summary>
        /// Lists up to <paramref name="limit"/> keys that begin with <paramref name="prefix"/>, in the order of
        /// their bytes, behind <paramref name="after"/> unless that is empty: <see cref="StorageRequest.Keys"/>. For
        /// tools; a storage that does not override it fails such requests.
        /// </summary>
        public virtual void List(StorageRequest request, string prefix, string after, int limit)
        {
            throw new NotSupportedException("this storage does not list keys");
        }

        /// <summary>
        /// Lists the keys of the records that carry a user id, in the order of their bytes:
        /// <see cref="StorageRequest.Keys"/>. For tools; a storage that does not override it fails such requests.
        /// </summary>
        public virtual void KeysOfUser(StorageRequest request, string userId)
        {
            throw new NotSupportedException("this storage does not know the keys of a user");
        }
    }

    /// <summary>What a storage of the host's own is asked to write.</summary>
    public sealed unsafe class StorageCommit
    {
        internal StorageCommit(SlStorageCommit* commit)
        {
            Key = Utf8.Read(commit->key);
            Expected = (Expected)commit->expected;
            Revision = Utf8.Read(commit->revision);
            Bytes = Utf8.Bytes(commit->bytes);
            UserIds = Utf8.Read(commit->user_ids, commit->user_id_count);
        }

        /// <summary>The record's key.</summary>
        public string Key { get; private set; }

        /// <summary>Whether the record must be present or absent.</summary>
        public Expected Expected { get; private set; }

        /// <summary>The expected revision, as the storage has given it, or empty.</summary>
        public string Revision { get; private set; }

        /// <summary>The whole new value: UTF-8 JSON.</summary>
        public byte[] Bytes { get; private set; }

        /// <summary>The ids of the users the record belongs to, in place of those stored before.</summary>
        public string[] UserIds { get; private set; }
    }

    /// <summary>
    /// A request to a storage of the host's own: the right, and the duty, to answer it once, from any thread.
    /// </summary>
    /// <remarks>
    /// A revision is a text of 1 to 64 bytes of the storage's choosing. <c>clock</c> is the storage's own clock
    /// when it acted, in Unix seconds, or 0 if it has none: with it, sessions expire exactly, whatever the
    /// servers' clocks say. An answer that is refused throws a <see cref="SessionLockerException"/>, with
    /// <see cref="SessionLockerStatus.InvalidHandle"/> if it was answered before or the storage is no more, and
    /// with <see cref="SessionLockerStatus.InvalidArgument"/> if it is no answer to what was asked; then the
    /// request still waits.
    /// </remarks>
    public sealed unsafe class StorageRequest
    {
        private readonly SlStorageRequest* native;

        internal StorageRequest(IntPtr native)
        {
            this.native = (SlStorageRequest*)native;
        }

        /// <summary>Answers a fetch: the record is there.</summary>
        public void Fetched(byte[] bytes, string revision, ICollection<string> userIds, double clock = 0)
        {
            using (var texts = new Arena())
            {
                UIntPtr length;
                UIntPtr revisionLength;
                UIntPtr userCount;
                byte* value = texts.Bytes(bytes, out length);
                byte* text = texts.Text(revision, out revisionLength);
                SlText* users = texts.Texts(userIds, out userCount);
                Check.Ok(
                    NativeMethods.storage_request_fetched(
                        native, value, length, text, revisionLength, users, userCount, clock),
                    null);
            }
        }

        /// <summary>
        /// Answers a fetch: there is no record. The revision is that of its erasure, or null if there was none.
        /// </summary>
        public void Absent(string revision, double clock = 0)
        {
            using (var texts = new Arena())
            {
                UIntPtr length;
                byte* text = texts.Text(revision, out length);
                Check.Ok(NativeMethods.storage_request_absent(native, text, length, clock), null);
            }
        }

        /// <summary>Answers a commit: it is written and durable, and the record is now at this revision.</summary>
        public void Committed(string revision, double clock = 0)
        {
            using (var texts = new Arena())
            {
                UIntPtr length;
                byte* text = texts.Text(revision, out length);
                Check.Ok(NativeMethods.storage_request_committed(native, text, length, clock), null);
            }
        }

        /// <summary>Answers an erasure: it is durable, and this revision is what it left.</summary>
        public void Erased(string revision, double clock = 0)
        {
            using (var texts = new Arena())
            {
                UIntPtr length;
                byte* text = texts.Text(revision, out length);
                Check.Ok(NativeMethods.storage_request_erased(native, text, length, clock), null);
            }
        }

        /// <summary>
        /// Answers a commit or an erasure: the key is not as expected, so this request has written nothing and
        /// never will.
        /// </summary>
        public void Conflict(double clock = 0)
        {
            Check.Ok(NativeMethods.storage_request_conflict(native, clock), null);
        }

        /// <summary>Answers a list, or a search for a user's records, with keys in the order of their bytes.</summary>
        public void Keys(ICollection<string> keys)
        {
            using (var texts = new Arena())
            {
                UIntPtr count;
                SlText* array = texts.Texts(keys, out count);
                Check.Ok(NativeMethods.storage_request_keys(native, array, count), null);
            }
        }

        /// <summary>
        /// Answers any request: it failed, or nobody knows whether it did. A commit or erasure that is answered so
        /// may have been written, or may still be.
        /// </summary>
        public void Failed(RequestErrorKind kind, string message, double clock = 0)
        {
            using (var texts = new Arena())
            {
                UIntPtr length;
                byte* text = texts.Text(message, out length);
                Check.Ok(NativeMethods.storage_request_failed(native, (int)kind, text, length, clock), null);
            }
        }
    }

    /// <summary>What the library calls of a storage of the host's own.</summary>
    internal sealed unsafe class HostStorageHook : HookData
    {
        private static readonly KeyShape FetchDelegate = OnFetch;
        private static readonly CommitShape CommitDelegate = OnCommit;
        private static readonly EraseShape EraseDelegate = OnErase;
        private static readonly ListShape ListDelegate = OnList;
        private static readonly KeyShape KeysOfUserDelegate = OnKeysOfUser;

        private readonly HostStorage storage;

        private HostStorageHook(HostStorage storage)
        {
            this.storage = storage;
        }

        public static SlStorage* Open(HostStorage storage, uint requestsPerSecond, uint requestsInFlight)
        {
            if (storage == null)
            {
                throw new ArgumentNullException("storage");
            }
            SlStorageCallbacks callbacks;
            SlStorage* native;
            Check.Ok(
                NativeMethods.locker_storage_callbacks_init(&callbacks, (UIntPtr)sizeof(SlStorageCallbacks)), null);
            callbacks.fetch = (void*)Marshal.GetFunctionPointerForDelegate(FetchDelegate);
            callbacks.commit = (void*)Marshal.GetFunctionPointerForDelegate(CommitDelegate);
            callbacks.erase = (void*)Marshal.GetFunctionPointerForDelegate(EraseDelegate);
            callbacks.list = (void*)Marshal.GetFunctionPointerForDelegate(ListDelegate);
            callbacks.keys_of_user = (void*)Marshal.GetFunctionPointerForDelegate(KeysOfUserDelegate);
            callbacks.drop = (void*)Drop;
            callbacks.requests_per_second = requestsPerSecond;
            callbacks.requests_in_flight = requestsInFlight;
            var hook = new HostStorageHook(storage);
            int status = NativeMethods.locker_storage_open_host(&callbacks, hook.Hold(), &native);
            if (status != 0)
            {
                hook.TakeBack();
                throw Check.Failure(status, null);
            }
            return native;
        }

        [MonoPInvokeCallback(typeof(KeyShape))]
        private static int OnFetch(IntPtr userData, IntPtr request, IntPtr key, UIntPtr keyLength)
        {
            try
            {
                HostStorage storage = Run<HostStorageHook>(userData).storage;
                storage.Fetch(new StorageRequest(request), Utf8.Read((byte*)key, keyLength));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(CommitShape))]
        private static int OnCommit(IntPtr userData, IntPtr request, IntPtr commit)
        {
            try
            {
                HostStorage storage = Run<HostStorageHook>(userData).storage;
                storage.Commit(new StorageRequest(request), new StorageCommit((SlStorageCommit*)commit));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(EraseShape))]
        private static int OnErase(
            IntPtr userData, IntPtr request, IntPtr key, UIntPtr keyLength, int expected, IntPtr revision, UIntPtr revisionLength)
        {
            try
            {
                HostStorage storage = Run<HostStorageHook>(userData).storage;
                storage.Erase(
                    new StorageRequest(request), Utf8.Read((byte*)key, keyLength), (Expected)expected,
                    Utf8.Read((byte*)revision, revisionLength));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(ListShape))]
        private static int OnList(
            IntPtr userData, IntPtr request, IntPtr prefix, UIntPtr prefixLength, IntPtr after, UIntPtr afterLength, UIntPtr limit)
        {
            try
            {
                HostStorage storage = Run<HostStorageHook>(userData).storage;
                storage.List(
                    new StorageRequest(request), Utf8.Read((byte*)prefix, prefixLength),
                    Utf8.Read((byte*)after, afterLength), checked((int)limit));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        [MonoPInvokeCallback(typeof(KeyShape))]
        private static int OnKeysOfUser(IntPtr userData, IntPtr request, IntPtr userId, UIntPtr userIdLength)
        {
            try
            {
                HostStorage storage = Run<HostStorageHook>(userData).storage;
                storage.KeysOfUser(new StorageRequest(request), Utf8.Read((byte*)userId, userIdLength));
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }
    }
}
