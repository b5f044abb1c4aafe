using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>A step of a session's life.</summary>
    public class LifecycleEventArgs : EventArgs
    {
        internal LifecycleEventArgs(Lifecycle lifecycle, Reason reason)
        {
            Lifecycle = lifecycle;
            Reason = reason;
        }

        /// <summary>The step.</summary>
        public Lifecycle Lifecycle { get; private set; }

        /// <summary>Why the save data was replaced, if it was.</summary>
        public Reason Reason { get; private set; }
    }

    /// <summary>The session was lost to another server, or its record was erased.</summary>
    public sealed class LostEventArgs : LifecycleEventArgs
    {
        internal LostEventArgs(string saveDataJson)
            : base(Lifecycle.Replaced, Reason.Lost)
        {
            SaveDataJson = saveDataJson;
        }

        /// <summary>
        /// The document as it was, with what was not saved: see <see cref="SaveData.Parse"/>. Where the waits for
        /// some of it are answered with <see cref="SaveOutcome.Unknown"/>, that may be saved. The session's save
        /// data is the default one by now.
        /// </summary>
        public string SaveDataJson { get; private set; }
    }

    /// <summary>How far loading has come.</summary>
    public sealed class LoadStatusEventArgs : EventArgs
    {
        internal LoadStatusEventArgs(LoadStatus loadStatus)
        {
            LoadStatus = loadStatus;
        }

        /// <summary>The load status as it was then.</summary>
        public LoadStatus LoadStatus { get; private set; }
    }

    /// <summary>Product credit was given or used.</summary>
    public sealed class ProductCreditEventArgs : EventArgs
    {
        internal ProductCreditEventArgs(long productId, long amount)
        {
            ProductId = productId;
            Amount = amount;
        }

        /// <summary>The product.</summary>
        public long ProductId { get; private set; }

        /// <summary>By how much: negative for what was used.</summary>
        public long Amount { get; private set; }
    }

    /// <summary>A purchase was answered.</summary>
    public sealed class PurchaseEventArgs : EventArgs
    {
        internal PurchaseEventArgs(long productId, string purchaseId, bool isGranted)
        {
            ProductId = productId;
            PurchaseId = purchaseId;
            IsGranted = isGranted;
        }

        /// <summary>The product.</summary>
        public long ProductId { get; private set; }

        /// <summary>The receipt's own id.</summary>
        public string PurchaseId { get; private set; }

        /// <summary>Whether its effect is in the storage.</summary>
        public bool IsGranted { get; private set; }
    }

    /// <summary>A send of remote changes was answered.</summary>
    public sealed class RemoteChangesSentEventArgs : EventArgs
    {
        internal RemoteChangesSentEventArgs(string key, SendOutcome outcome)
        {
            Key = key;
            Outcome = outcome;
        }

        /// <summary>The key that they were sent to.</summary>
        public string Key { get; private set; }

        /// <summary>How it ended.</summary>
        public SendOutcome Outcome { get; private set; }
    }

    /// <summary>An event of the library's, with texts of its own.</summary>
    internal sealed unsafe class NativeEvent
    {
        public NativeEvent(SlEvent* native)
        {
            Kind = native->kind;
            Lifecycle = (Lifecycle)native->lifecycle;
            Reason = (Reason)native->reason;
            LoadStatus = (LoadStatus)native->load_status;
            Outcome = native->outcome;
            Profile = (IntPtr)native->profile;
            Text = Utf8.Read(native->text);
            Key = Utf8.Read(native->key);
            ProductId = native->product_id;
            Amount = native->amount;
        }

        public int Kind { get; private set; }

        public Lifecycle Lifecycle { get; private set; }

        public Reason Reason { get; private set; }

        public LoadStatus LoadStatus { get; private set; }

        public int Outcome { get; private set; }

        public IntPtr Profile { get; private set; }

        public string Text { get; private set; }

        public string Key { get; private set; }

        public long ProductId { get; private set; }

        public long Amount { get; private set; }
    }

    /// <summary>Something that has events to be polled.</summary>
    internal unsafe interface IEventSource
    {
        /// <summary>Takes events from the library.</summary>
        int Poll(SlEvent* events, UIntPtr capacity, UIntPtr* count);

        /// <summary>Posts one of them to whom it concerns.</summary>
        void Hear(NativeEvent heard);
    }

    internal static unsafe class EventPump
    {
        private const int Capacity = 16;

        /// <summary>
        /// What comes after each update, drain and wait, which <see cref="Dispatcher.Enter"/> has begun: the host
        /// hears what has happened, then what the call came to. With nothing to hear, it allocates nothing.
        /// </summary>
        public static void Finish(IEventSource source, Dispatcher messages, int status, NativeObject of)
        {
            bool isLast = messages.Leave(status);
            Exception refused = status == 0 ? null : Check.Failure(status, of);
            if (isLast)
            {
                Pull(source, messages);
                messages.Deliver(refused);
            }
            else if (refused != null)
            {
                throw refused;
            }
        }

        /// <summary>Takes over all events that wait to be polled.</summary>
        public static void Pull(IEventSource source, Dispatcher messages)
        {
            SlEvent* events = stackalloc SlEvent[Capacity];
            UIntPtr count;
            // Also so that a profile that starts on another thread is known before its first event is heard.
            lock (messages)
            {
                do
                {
                    if (source.Poll(events, (UIntPtr)Capacity, &count) != 0)
                    {
                        return; // Disposed meanwhile: there are no events any more.
                    }
                    for (int at = 0; at < (int)count; at++)
                    {
                        source.Hear(new NativeEvent(&events[at]));
                    }
                }
                while ((int)count == Capacity);
            }
        }
    }
}
