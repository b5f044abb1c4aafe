using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Sessions for a whole game server: the original's <c>EasyStore</c>. One <see cref="Update()"/> a frame drives
    /// everything: hooks run inside it; then, still on its thread, events are raised and tasks complete.
    /// </summary>
    /// <remarks>
    /// Any thread may call anything; an update, drain or wait while another is under way throws
    /// <see cref="SessionLockerStatus.Busy"/>. At shutdown, <see cref="Drain"/> and then <see cref="Dispose"/>.
    /// </remarks>
    public sealed unsafe class EasyStore : NativeObject, IEventSource
    {
        private static readonly Func<IntPtr, int> Destroy = store => NativeMethods.easy_store_destroy((SlEasyStore*)store);

        private readonly SessionHooks hooks;
        private readonly Dispatcher messages;
        private readonly Dictionary<IntPtr, Profile> profiles = new Dictionary<IntPtr, Profile>();
        private EventHandler<ErrorReport> error;

        /// <summary>
        /// Makes a store for the records of a storage, which stays open as long as the store lives, also when it is
        /// disposed. The configuration is copied.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.InvalidArgument"/> (a setting, named),
        /// <see cref="SessionLockerStatus.InvalidJson"/>, <see cref="SessionLockerStatus.WrongType"/> and
        /// <see cref="SessionLockerStatus.TooLarge"/> (the template).
        /// </exception>
        public EasyStore(LockerStorage storage, EasyStoreConfig config)
            : this(Make(storage, config))
        {
        }

        private EasyStore(Made made)
            : base(made.Native, Destroy)
        {
            hooks = made.Hooks;
            messages = hooks.Messages;
        }

        /// <summary>
        /// Something has failed, and the store goes on by itself. Raised like all events, after the update;
        /// <see cref="SessionConfig.ReportError"/> is told at once.
        /// </summary>
        public event EventHandler<ErrorReport> Error
        {
            add
            {
                lock (hooks)
                {
                    error += value;
                    hooks.HasErrorListener = true;
                }
            }

            remove
            {
                lock (hooks)
                {
                    error -= value;
                    hooks.HasErrorListener = error != null;
                }
            }
        }

        /// <summary>A send of remote changes was answered; so is its task.</summary>
        public event EventHandler<RemoteChangesSentEventArgs> RemoteChangesSent;

        /// <summary>Whether the store was closed, every session is released and every purchase and send answered.</summary>
        public bool IsClosed
        {
            get
            {
                int isClosed;
                Ok(NativeMethods.easy_store_is_closed(Native, &isClosed));
                return isClosed != 0;
            }
        }

        internal SlEasyStore* Native
        {
            get { return (SlEasyStore*)Name; }
        }

        internal Dispatcher Messages
        {
            get { return messages; }
        }

        /// <summary>
        /// Begins a session for a key (1 to 512 bytes of UTF-8). The profile is loaded once the key is ours:
        /// see <see cref="Profile.WhenLoadedAsync"/>. While another session of this store has the key, this one waits
        /// until that has ended. The store keeps the profile until it is finished or disposed.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Closed"/>, <see cref="SessionLockerStatus.InvalidArgument"/> (the key, an option).
        /// </exception>
        public Profile StartSession(string key, SessionOptions options = null)
        {
            return Start(key, options, false);
        }

        /// <summary>
        /// The same, but joins the session that this store has of the key, if it has one: on a loaded session the
        /// profile is loaded at once, and the session ends when the last of its profiles has ended.
        /// </summary>
        public Profile StartSessionReusable(string key, SessionOptions options = null)
        {
            return Start(key, options, true);
        }

        /// <summary>
        /// Does all there is to do, once a frame. Never waits for the storage. <paramref name="now"/> is in seconds
        /// that never run backwards, from any epoch, time asleep included.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.Busy"/>: an update is under way.</exception>
        /// <exception cref="AggregateException">Several handlers of the host's have thrown; one alone comes as it is.</exception>
        public void Update(double now)
        {
            NativeHandle.FreeForgotten();
            messages.Enter();
            Finish(NativeMethods.easy_store_update(Native, now), this);
        }

        /// <summary>The same, by the library's own clock.</summary>
        public void Update()
        {
            Update(NativeMethods.session_locker_now());
        }

        /// <summary>
        /// Sends remote changes to a key, whoever owns it, if anybody does; its owner applies them, once. A missing
        /// record is made. While the storage fails it is tried again, for up to a day.
        /// </summary>
        /// <param name="key">1 to 512 bytes of UTF-8.</param>
        /// <param name="jsonArray">
        /// Up to 10 000 objects in at most 1 MiB, each with a string <c>K</c>, its kind. Members <c>I</c> and <c>A</c> are
        /// the library's.
        /// </param>
        /// <param name="operationId">
        /// The host's own name for this send, 1 to 128 bytes, or null. Sent again under the same name within 7 days, by
        /// any process, it is answered with <see cref="SendOutcome.Sent"/> and not written again.
        /// </param>
        /// <returns>Completes at the end of the update that brings the answer.</returns>
        /// <exception cref="SessionLockerException">The changes are refused: the message says which and why.</exception>
        public Task<SendOutcome> SendRemoteChangesAsync(string key, string jsonArray, string operationId = null)
        {
            using (var send = new Send(key, jsonArray, operationId, messages))
            {
                SlSendOptions options;
                ulong id;
                int status = NativeMethods.easy_store_send_remote_changes(
                    Native, send.Key, send.KeyLength, send.Json, send.JsonLength, send.Fill(&options),
                    (void*)SendAnswer.Pointer, send.Hold(), (void*)HookData.Drop, &id);
                return send.Finish(status, this);
            }
        }

        /// <summary>
        /// What its sessions and sends have asked of the storage, how it has answered, and how many wait for the limits of
        /// the store's config. Also inside hooks.
        /// </summary>
        public RequestStats GetStats()
        {
            var stats = new SlRequestStats { struct_size = (uint)sizeof(SlRequestStats) };
            Ok(NativeMethods.easy_store_get_stats(Native, &stats));
            return new RequestStats(&stats);
        }

        /// <summary>
        /// Begins shutdown: no session or send starts any more, and all sessions are saved and end, in the updates that
        /// follow, until <see cref="IsClosed"/>.
        /// </summary>
        public void Close()
        {
            Ok(NativeMethods.easy_store_close(Native));
        }

        /// <summary>
        /// Closes the store and updates it until every session is released and every purchase and send answered, or the
        /// time is over, which is no error: the report says it. Blocks; for shutdown. May be called again to go on.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.Busy"/>: an update is under way.</exception>
        public DrainReport Drain(TimeSpan timeout)
        {
            SlDrainReport* native;
            messages.Enter();
            int status = NativeMethods.easy_store_drain(Native, Seconds.Of(timeout), &native);
            DrainReport report = status == 0 ? new DrainReport(native) : null;
            Finish(status, this);
            return report;
        }

        /// <summary>
        /// Frees the store and its profiles. Sessions that are not released by then are left to expire, and what waits is
        /// answered: so drain it first. Inside one of its own hooks it takes effect when the outermost call has returned.
        /// </summary>
        public override void Dispose()
        {
            if (IsDisposed)
            {
                return;
            }
            bool isInside = messages.IsInside;
            if (!isInside)
            {
                EventPump.Pull(this, messages);
            }
            base.Dispose();
            foreach (Profile profile in TakeProfiles())
            {
                profile.Dispose();
            }
            if (!isInside)
            {
                messages.Deliver(null);
            }
        }

        int IEventSource.Poll(SlEvent* events, UIntPtr capacity, UIntPtr* count)
        {
            return NativeMethods.easy_store_poll_event(Native, events, capacity, count);
        }

        void IEventSource.Hear(NativeEvent heard)
        {
            if (heard.Kind == NativeMethods.SL_EVENT_ERROR)
            {
                ErrorReport report = hooks.TakeReport(heard.Key, heard.Text);
                if (report != null)
                {
                    report.ProductId = heard.ProductId;
                    messages.Post(() => messages.Raise(error, this, report));
                }
            }
            else if (heard.Kind == NativeMethods.SL_EVENT_REMOTE_CHANGES_SENT)
            {
                var arguments = new RemoteChangesSentEventArgs(heard.Key, (SendOutcome)heard.Outcome);
                messages.Post(() => messages.Raise(RemoteChangesSent, this, arguments));
            }
            else
            {
                Profile profile;
                if (profiles.TryGetValue(heard.Profile, out profile))
                {
                    messages.Post(() => profile.Hear(heard));
                }
            }
        }

        /// <summary>Ends a call that began with <see cref="Dispatcher.Enter"/>, made on behalf of an object.</summary>
        internal void Finish(int status, NativeObject of)
        {
            EventPump.Finish(this, messages, status, of);
        }

        /// <summary>The profile has said its last, or is disposed.</summary>
        internal void Forget(Profile profile)
        {
            lock (messages)
            {
                profiles.Remove(profile.Name);
            }
        }

        private Profile Start(string key, SessionOptions options, bool isReusable)
        {
            NativeHandle.FreeForgotten();
            using (var texts = new Arena())
            {
                SlSessionOptions place;
                SlProfile* native;
                UIntPtr length;
                byte* text = texts.Needed(key, "key", out length);
                SlSessionOptions* filled = SessionOptions.Fill(options, &place, texts);
                lock (messages)
                {
                    int status = isReusable
                        ? NativeMethods.easy_store_start_session_reusable(Native, text, length, filled, &native)
                        : NativeMethods.easy_store_start_session(Native, text, length, filled, &native);
                    Ok(status);
                    var profile = new Profile(native, this, key);
                    profiles.Add(profile.Name, profile);
                    return profile;
                }
            }
        }

        private Profile[] TakeProfiles()
        {
            lock (messages)
            {
                var all = new Profile[profiles.Count];
                profiles.Values.CopyTo(all, 0);
                profiles.Clear();
                return all;
            }
        }

        private static Made Make(LockerStorage storage, EasyStoreConfig config)
        {
            Check.NotNull(storage, "storage");
            Check.NotNull(config, "config");
            using (var texts = new Arena())
            {
                SlEasyStoreConfig native;
                SlEasyStore* store;
                SlClock clock;
                Check.Ok(NativeMethods.easy_store_config_init(&native, (UIntPtr)sizeof(SlEasyStoreConfig)), null);
                config.Fill(&native, texts);
                ClockHook clockHook = ClockHook.Fill(config.Clock, &clock);
                native.clock = clockHook == null ? null : &clock;
                var hooks = new SessionHooks(config);
                hooks.Fill(&native);
                int status = NativeMethods.easy_store_create(storage.Native, &native, &store);
                if (status != 0)
                {
                    hooks.TakeBack();
                    ClockHook.TakeBack(clockHook);
                    throw Check.Failure(status, storage);
                }
                GC.KeepAlive(storage);
                GC.KeepAlive(config);
                return new Made(store, hooks);
            }
        }

        private struct Made
        {
            public readonly SlEasyStore* Native;
            public readonly SessionHooks Hooks;

            public Made(SlEasyStore* native, SessionHooks hooks)
            {
                Native = native;
                Hooks = hooks;
            }
        }
    }
}
