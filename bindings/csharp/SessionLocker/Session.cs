using System;
using System.Collections.Generic;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// What a <see cref="Profile"/> and a <see cref="Locker"/> tell.
    /// </summary>
    /// <remarks>
    /// Events are raised at the end of an update, drain or wait that the host called, on its thread, with the
    /// library's work done: a handler may call anything. Of one step of a session's life they are raised deepest
    /// first, <see cref="Lifecycle"/> last:
    /// <code>
    /// Lifecycle
    /// ├─ Destroyed, Finished (of a profile)
    /// ├─ Saved
    /// └─ Replaced
    ///    ├─ Loaded
    ///    └─ Reset
    ///       ├─ Released
    ///       └─ Lost
    /// </code>
    /// A handler that throws holds up neither other handlers nor later events: when everything is told, the
    /// update throws what the handler has thrown.
    /// </remarks>
    public abstract unsafe class Session : NativeObject
    {
        private readonly Dispatcher messages;
        private SaveData saveData;
        private string lostJson = string.Empty;

        internal Session(void* native, Func<IntPtr, int> destroy, Dispatcher messages, bool freesForgotten = true)
            : base(native, destroy, freesForgotten)
        {
            this.messages = messages;
            Sessions.Add(this);
        }

        /// <summary>Any step of the session's life but a profile's last, for which there is <c>Finished</c>.</summary>
        public event EventHandler<LifecycleEventArgs> Lifecycle;

        /// <summary>The save data is in the storage.</summary>
        public event EventHandler<LifecycleEventArgs> Saved;

        /// <summary>The save data is another.</summary>
        public event EventHandler<LifecycleEventArgs> Replaced;

        /// <summary>The save data is the player's.</summary>
        public event EventHandler<LifecycleEventArgs> Loaded;

        /// <summary>The save data is the default one, for the session was released or lost.</summary>
        public event EventHandler<LifecycleEventArgs> Reset;

        /// <summary>The save data is the default one, for the session was ended willingly.</summary>
        public event EventHandler<LifecycleEventArgs> Released;

        /// <summary>The session was lost. The arguments have what was not saved.</summary>
        public event EventHandler<LostEventArgs> Lost;

        /// <summary>Loading has come further, or back.</summary>
        public event EventHandler<LoadStatusEventArgs> LoadStatusChanged;

        /// <summary>Product credit was given or used.</summary>
        public event EventHandler<ProductCreditEventArgs> ProductCreditChanged;

        /// <summary>A purchase was answered; so is the task of whoever has asked for it.</summary>
        public event EventHandler<PurchaseEventArgs> PurchaseAnswered;

        /// <summary>
        /// The save data, to be read and written in place: the player's while loaded, else the default. The same
        /// object at every call; each write counts as a change.
        /// </summary>
        public SaveData SaveData
        {
            get { return saveData ?? (saveData = new SaveData(NativeSaveData(), this)); }
        }

        internal Dispatcher Messages
        {
            get { return messages; }
        }

        internal abstract SlSaveData* NativeSaveData();

        /// <summary>Raises what an event means.</summary>
        internal virtual void Hear(NativeEvent heard)
        {
            switch (heard.Kind)
            {
                case NativeMethods.SL_EVENT_LIFECYCLE:
                    HearLifecycle(heard.Lifecycle, heard.Reason);
                    break;
                case NativeMethods.SL_EVENT_LOST:
                    lostJson = heard.Text;
                    break;
                case NativeMethods.SL_EVENT_LOAD_STATUS:
                    Raise(LoadStatusChanged, new LoadStatusEventArgs(heard.LoadStatus));
                    break;
                case NativeMethods.SL_EVENT_PRODUCT_CREDIT_CHANGED:
                    var credit = new ProductCreditEventArgs(heard.ProductId, heard.Amount);
                    Raise(ProductCreditChanged, credit);
                    break;
                case NativeMethods.SL_EVENT_PURCHASE:
                    bool isGranted = heard.Outcome == NativeMethods.SL_OUTCOME_SAVED;
                    Raise(PurchaseAnswered, new PurchaseEventArgs(heard.ProductId, heard.Text, isGranted));
                    break;
            }
        }

        /// <summary>Raises the signals of a step that are not for every session, if it has any.</summary>
        internal virtual void HearOwn(Lifecycle lifecycle)
        {
        }

        /// <summary>Raises an event, unless a handler has disposed the session meanwhile.</summary>
        internal void Raise<T>(EventHandler<T> handlers, T arguments)
        {
            if (!IsDisposed)
            {
                messages.Raise(handlers, this, arguments);
            }
        }

        private void HearLifecycle(Lifecycle lifecycle, Reason reason)
        {
            var arguments = new LifecycleEventArgs(lifecycle, reason);
            if (lifecycle == SessionLocker.Lifecycle.Saved)
            {
                Raise(Saved, arguments);
            }
            else if (lifecycle == SessionLocker.Lifecycle.Replaced)
            {
                HearReplaced(arguments);
            }
            HearOwn(lifecycle);
            if (lifecycle != SessionLocker.Lifecycle.Finished)
            {
                Raise(Lifecycle, arguments);
            }
        }

        private void HearReplaced(LifecycleEventArgs arguments)
        {
            if (arguments.Reason == Reason.Loaded)
            {
                Raise(Loaded, arguments);
            }
            else
            {
                if (arguments.Reason == Reason.Lost)
                {
                    Raise(Lost, new LostEventArgs(lostJson));
                    lostJson = string.Empty;
                }
                else
                {
                    Raise(Released, arguments);
                }
                Raise(Reset, arguments);
            }
            Raise(Replaced, arguments);
        }
    }

    /// <summary>The profiles and lockers of the process, by the names that the library has for them.</summary>
    internal static class Sessions
    {
        private static readonly Dictionary<IntPtr, WeakReference> Known = new Dictionary<IntPtr, WeakReference>();

        public static void Add(Session session)
        {
            lock (Known)
            {
                Known[session.Name] = new WeakReference(session);
            }
        }

        /// <summary>Null for no name, and for one that is disposed.</summary>
        public static Session Find(IntPtr name)
        {
            WeakReference session;
            lock (Known)
            {
                return Known.TryGetValue(name, out session) ? (Session)session.Target : null;
            }
        }

        /// <summary>Forgets a session that is gone, which <paramref name="status"/> says.</summary>
        public static int Remove(IntPtr name, int status)
        {
            if (status != (int)SessionLockerStatus.Busy)
            {
                lock (Known)
                {
                    Known.Remove(name);
                }
            }
            return status;
        }
    }
}
