using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>What a <see cref="RemoteChangeSender"/> is made with.</summary>
    public sealed class RemoteChangeSenderConfig
    {
        /// <summary>True: a missing record is made, of the spec's template or by its create hook (false).</summary>
        public bool CreateIfMissing { get; set; }

        /// <summary>True: nothing is read or written, and every send is answered with sent; for tests (false).</summary>
        public bool DisableApis { get; set; }

        /// <summary>
        /// What the sender's log lines begin with, at most 1024 bytes; null for
        /// <c>[SessionLocker:RemoteChangeSender]</c>.
        /// </summary>
        public string LogPrefix { get; set; }

        /// <summary>
        /// What the sender's name and its waits are drawn from; 0 for a seed from the operating system. No two senders
        /// that share a storage may share a seed.
        /// </summary>
        public ulong Seed { get; set; }

        /// <summary>
        /// Told of every failure at once, after which the sender tries again. With null, and nobody listening to
        /// <see cref="RemoteChangeSender.Error"/>, the reporter of the process is told.
        /// </summary>
        public Action<ErrorReport> ReportError { get; set; }
    }

    /// <summary>
    /// Sends remote changes to the records of a spec, whoever owns them: the original's <c>RemoteChangeSender</c>. The host
    /// updates it every frame. A store has one of its own: <see cref="EasyStore.SendRemoteChangesAsync"/>. Dispose answers
    /// each send that is left, with <see cref="SendOutcome.Unknown"/> or <see cref="SendOutcome.NotSent"/>.
    /// </summary>
    public sealed unsafe class RemoteChangeSender : NativeObject, IEventSource
    {
        private static readonly Func<IntPtr, int> Destroy =
            sender => NativeMethods.remote_change_sender_destroy((SlRemoteChangeSender*)sender);

        private readonly ReportHook hook;
        private readonly Dispatcher messages;
        private EventHandler<ErrorReport> error;

        /// <summary>Makes a sender, which keeps what it needs of the spec. The configuration may be null.</summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.InvalidArgument"/> (a setting, named).</exception>
        public RemoteChangeSender(LockerSpec spec, RemoteChangeSenderConfig config = null)
            : this(Make(spec, config ?? new RemoteChangeSenderConfig()))
        {
        }

        private RemoteChangeSender(Made made)
            : base(made.Native, Destroy)
        {
            hook = made.Hook;
            messages = hook.Messages;
        }

        /// <summary>Something has failed, and the sender tries again.</summary>
        public event EventHandler<ErrorReport> Error
        {
            add
            {
                lock (hook)
                {
                    error += value;
                    hook.HasErrorListener = true;
                }
            }

            remove
            {
                lock (hook)
                {
                    error -= value;
                    hook.HasErrorListener = error != null;
                }
            }
        }

        /// <summary>A send was answered; so is its task.</summary>
        public event EventHandler<RemoteChangesSentEventArgs> RemoteChangesSent;

        /// <summary>Whether a send is not answered yet.</summary>
        public bool IsSending
        {
            get
            {
                int isSending;
                Ok(NativeMethods.remote_change_sender_is_sending(Native, &isSending));
                return isSending != 0;
            }
        }

        private SlRemoteChangeSender* Native
        {
            get { return (SlRemoteChangeSender*)Name; }
        }

        /// <summary>
        /// Does all there is to do, once a frame; then events are raised and tasks complete. <paramref name="now"/> is in
        /// seconds that never run backwards.
        /// </summary>
        public void Update(double now)
        {
            NativeHandle.FreeForgotten();
            messages.Enter();
            EventPump.Finish(this, messages, NativeMethods.remote_change_sender_update(Native, now), this);
        }

        /// <summary>The same, by the library's own clock.</summary>
        public void Update()
        {
            Update(NativeMethods.session_locker_now());
        }

        /// <summary>
        /// Takes remote changes on their way to a key. All as for <see cref="EasyStore.SendRemoteChangesAsync"/>, but that a
        /// missing record is made only with <see cref="RemoteChangeSenderConfig.CreateIfMissing"/>.
        /// </summary>
        public Task<SendOutcome> SendAsync(string key, string jsonArray, string operationId = null)
        {
            using (var send = new Send(key, jsonArray, operationId, messages))
            {
                SlSendOptions options;
                ulong id;
                int status = NativeMethods.remote_change_sender_send(
                    Native, send.Key, send.KeyLength, send.Json, send.JsonLength, send.Fill(&options),
                    (void*)SendAnswer.Pointer, send.Hold(), (void*)HookData.Drop, &id);
                return send.Finish(status, this);
            }
        }

        /// <inheritdoc/>
        public override void Dispose()
        {
            base.Dispose();
            if (!messages.IsInside)
            {
                messages.Deliver(null);
            }
        }

        int IEventSource.Poll(SlEvent* events, UIntPtr capacity, UIntPtr* count)
        {
            return NativeMethods.remote_change_sender_poll_event(Native, events, capacity, count);
        }

        void IEventSource.Hear(NativeEvent heard)
        {
            if (heard.Kind == NativeMethods.SL_EVENT_REMOTE_CHANGES_SENT)
            {
                var arguments = new RemoteChangesSentEventArgs(heard.Key, (SendOutcome)heard.Outcome);
                messages.Post(() => messages.Raise(RemoteChangesSent, this, arguments));
                return;
            }
            ErrorReport report = hook.TakeReport(heard.Key, heard.Text);
            if (heard.Kind == NativeMethods.SL_EVENT_ERROR && report != null)
            {
                messages.Post(() => messages.Raise(error, this, report));
            }
        }

        private static Made Make(LockerSpec spec, RemoteChangeSenderConfig config)
        {
            Check.NotNull(spec, "spec");
            using (var texts = new Arena())
            {
                SlRemoteChangeSenderConfig native;
                SlRemoteChangeSender* sender;
                Check.Ok(
                    NativeMethods.remote_change_sender_config_init(&native, (UIntPtr)sizeof(SlRemoteChangeSenderConfig)), null);
                native.create_if_missing = config.CreateIfMissing ? 1 : 0;
                native.disable_apis = config.DisableApis ? 1 : 0;
                native.polls_events = 1;
                if (config.LogPrefix != null)
                {
                    native.log_prefix = texts.Text(config.LogPrefix, out native.log_prefix_length);
                }
                native.seed = config.Seed;
                var hook = new ReportHook(config.ReportError, ReportHook.ReportsLimit);
                native.user_data = hook.Hold();
                native.report_error = (void*)ReportHook.Pointer;
                native.drop = (void*)HookData.Drop;
                int status = NativeMethods.remote_change_sender_create(spec.Native, &native, &sender);
                if (status != 0)
                {
                    hook.TakeBack();
                    throw Check.Failure(status, spec);
                }
                GC.KeepAlive(spec);
                return new Made(sender, hook);
            }
        }

        private struct Made
        {
            public readonly SlRemoteChangeSender* Native;
            public readonly ReportHook Hook;

            public Made(SlRemoteChangeSender* native, ReportHook hook)
            {
                Native = native;
                Hook = hook;
            }
        }
    }
}
