using System;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// One key's lock and save data: the original's <c>LockerState</c>. The host updates each locker every frame, and
    /// disposes it once <see cref="Update(double)"/> says that it may.
    /// </summary>
    public sealed unsafe class Locker : Session, IEventSource
    {
        private static readonly Func<IntPtr, int> Destroy =
            locker => Sessions.Remove(locker, NativeMethods.locker_destroy((SlLocker*)locker));

        private readonly SessionHooks hooks;
        private readonly string key;

        internal Locker(SlLocker* native, SessionHooks hooks, string key)
            : base(native, Destroy, hooks.Messages)
        {
            this.hooks = hooks;
            this.key = key;
        }

        /// <summary>No session is held and nothing is under way.</summary>
        public event EventHandler<LifecycleEventArgs> Idling;

        /// <summary>The locker was deleted; the last thing that it says.</summary>
        public event EventHandler<LifecycleEventArgs> Deleted;

        /// <summary>Something has failed, and the locker goes on by itself.</summary>
        public event EventHandler<ErrorReport> Error;

        /// <summary>The key that the locker was made for.</summary>
        public string Key
        {
            get { return key; }
        }

        /// <summary>How far loading has come.</summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the locker was deleted.</exception>
        public LoadStatus LoadStatus
        {
            get
            {
                int loadStatus;
                Ok(NativeMethods.locker_load_status(Native, &loadStatus));
                return (LoadStatus)loadStatus;
            }
        }

        /// <summary>
        /// The version that a server must have for this document, after
        /// <see cref="SessionLocker.LoadStatus.InvalidVersion"/>; 0 otherwise.
        /// </summary>
        public int LoadMinimumServerVersion
        {
            get
            {
                uint version;
                Ok(NativeMethods.locker_load_minimum_server_version(Native, &version));
                return checked((int)version);
            }
        }

        /// <summary>Whether the locker holds no session and has nothing under way.</summary>
        public bool IsIdling
        {
            get
            {
                int isIdling;
                Ok(NativeMethods.locker_is_idling(Native, &isIdling));
                return isIdling != 0;
            }
        }

        /// <summary>Whether the locker was deleted.</summary>
        public bool IsDeleted
        {
            get
            {
                int isDeleted;
                Ok(NativeMethods.locker_is_deleted(Native, &isDeleted));
                return isDeleted != 0;
            }
        }

        /// <summary>
        /// Whether the save data is kept in step with the player's state, for hosts that keep that state elsewhere (true).
        /// While false the locker is not available, and is saved all the same.
        /// </summary>
        public bool IsSyncing
        {
            get
            {
                int isSyncing;
                Ok(NativeMethods.locker_is_syncing(Native, &isSyncing));
                return isSyncing != 0;
            }

            set
            {
                Ok(NativeMethods.locker_set_is_syncing(Native, value ? 1 : 0));
            }
        }

        /// <summary>
        /// Whether the save data is the player's and will be saved: loaded, syncing, within the lease, and not being
        /// released. False before another server could take the key.
        /// </summary>
        public bool IsAvailable
        {
            get
            {
                int isAvailable;
                Ok(NativeMethods.locker_is_available(Native, &isAvailable));
                return isAvailable != 0;
            }
        }

        private SlLocker* Native
        {
            get { return (SlLocker*)Name; }
        }

        /// <summary>
        /// Does all there is to do for this locker, once a frame; then events are raised and tasks complete. True when the
        /// locker is idle and may be disposed. <paramref name="now"/> is in seconds that never run backwards, the same for
        /// all lockers of a spec.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Busy"/> (an update or wait of a locker of the same spec is under way),
        /// <see cref="SessionLockerStatus.NotActive"/> (the locker was deleted).
        /// </exception>
        public bool Update(double now)
        {
            int shouldRemove = 0;
            NativeHandle.FreeForgotten();
            Messages.Enter();
            Finish(NativeMethods.locker_update(Native, now, &shouldRemove));
            return shouldRemove != 0;
        }

        /// <summary>The same, by the library's own clock.</summary>
        public bool Update()
        {
            return Update(NativeMethods.session_locker_now());
        }

        /// <summary>
        /// Acquires the key, in the updates that follow, as soon as it is free; after a load status that is final, tries
        /// anew. The session is held for as long as at least one use key is: any number that its user has chosen, 0 for a
        /// host that needs only one, at most 1024 at a time.
        /// </summary>
        public void MarkShouldAcquire(ulong useKey = 0)
        {
            Ok(NativeMethods.locker_mark_should_acquire(Native, useKey));
        }

        /// <summary>Lets go of a use key; with the last one, the locker saves and gives up the key.</summary>
        public void MarkShouldRelease(ulong useKey = 0)
        {
            Ok(NativeMethods.locker_mark_should_release(Native, useKey));
        }

        /// <summary>Notes a change: it is in the next save. A write to the save data notes itself.</summary>
        public void MarkShouldSave()
        {
            Ok(NativeMethods.locker_mark_should_save(Native));
        }

        /// <summary>Notes a change and saves at the next update.</summary>
        public void MarkForceSave()
        {
            Ok(NativeMethods.locker_mark_force_save(Native));
        }

        /// <summary>
        /// Says farewell to a locker that is idle: its last event is raised inside this call. Purchases that wait are
        /// answered with false.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Busy"/> (it is not idle), <see cref="SessionLockerStatus.NotActive"/> (deleted before).
        /// </exception>
        public void MarkDeleted()
        {
            Messages.Enter();
            Finish(NativeMethods.locker_mark_deleted(Native));
        }

        /// <summary>Sets what the locker's log lines begin with, at most 1024 bytes; empty for the default.</summary>
        public void SetLogPrefix(string logPrefix)
        {
            UIntPtr length;
            byte* text = Scratch.First(logPrefix, out length);
            Ok(NativeMethods.locker_set_log_prefix(Native, text, length));
        }

        /// <summary>The whole document as JSON, reserved fields included.</summary>
        public string GetSaveDataJson()
        {
            SlBuffer json;
            Ok(NativeMethods.locker_get_save_data_json(Native, &json));
            return Utf8.Take(ref json);
        }

        /// <summary>
        /// Replaces every field of the player's by those of a JSON object. Reserved fields stay, also where the object has some.
        /// </summary>
        public void SetSaveDataJson(string json)
        {
            UIntPtr length;
            byte* text = Scratch.First(json, out length);
            Ok(NativeMethods.locker_set_save_data_json(Native, text, length));
        }

        /// <summary>The document of the session that was lost last, with what was not saved.</summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotFound"/>: none was lost.</exception>
        public string GetLostSaveDataJson()
        {
            SlBuffer json;
            Ok(NativeMethods.locker_get_lost_save_data(Native, &json));
            return Utf8.Take(ref json);
        }

        /// <summary>As <see cref="Profile.WhenChangesSavedAsync"/>.</summary>
        public Task<bool> WhenChangesSavedAsync()
        {
            SavedAnswer answer = Wait(null);
            return answer.Task;
        }

        /// <summary>As <see cref="Profile.WhenChangesSaved"/>.</summary>
        public SavedConnection WhenChangesSaved()
        {
            SlSavedConnection* connection;
            SavedAnswer answer = Wait(&connection);
            return answer.Connect(connection);
        }

        /// <summary>
        /// Updates the locker until the changes made so far are saved (true) or the session has ended without them,
        /// as far as anybody knows (false). Blocks; for tools.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Timeout"/> (they may still be saved later), <see cref="SessionLockerStatus.Busy"/>,
        /// <see cref="SessionLockerStatus.NotActive"/> (the locker was deleted).
        /// </exception>
        public bool WaitUntilChangesSaved(TimeSpan timeout)
        {
            int wasSaved = 0;
            Messages.Enter();
            Finish(NativeMethods.locker_wait_until_changes_saved(Native, Seconds.Of(timeout), &wasSaved));
            return wasSaved != 0;
        }

        /// <summary>How much of a product the player has paid for and not been given yet.</summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotLoaded"/>.</exception>
        public long ProductCreditQuery(long productId)
        {
            long credit;
            Ok(NativeMethods.locker_product_credit_query(Native, productId, &credit));
            return credit;
        }

        /// <summary>Adds 1 or more to the credit of a product. Counts as a change.</summary>
        /// <exception cref="SessionLockerException">As for <see cref="Profile.ProductCreditGive"/>.</exception>
        public void ProductCreditGive(long productId, long amount)
        {
            Ok(NativeMethods.locker_product_credit_give(Native, productId, amount));
        }

        /// <summary>Takes 1 or more from the credit of a product; false, and no change, where there is too little.</summary>
        /// <exception cref="SessionLockerException">As for <see cref="Profile.ProductCreditGive"/>.</exception>
        public bool ProductCreditUse(long productId, long amount)
        {
            int didUse;
            Ok(NativeMethods.locker_product_credit_use(Native, productId, amount, &didUse));
            return didUse != 0;
        }

        /// <summary>
        /// Deletes the locker if that has not been done, raising its last event, and frees it.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Busy"/>: it is not idle, and nothing is done. Release it first, and update it until
        /// that says true.
        /// </exception>
        public override void Dispose()
        {
            try
            {
                if (IsToBeDeleted())
                {
                    MarkDeleted();
                }
            }
            finally
            {
                // Also when a handler of its last event has thrown; not when it is not idle.
                if (!IsToBeDeleted())
                {
                    base.Dispose();
                }
            }
        }

        int IEventSource.Poll(SlEvent* events, UIntPtr capacity, UIntPtr* count)
        {
            return NativeMethods.locker_poll_event(Native, events, capacity, count);
        }

        void IEventSource.Hear(NativeEvent heard)
        {
            if (heard.Kind != NativeMethods.SL_EVENT_ERROR)
            {
                Messages.Post(() => Hear(heard));
                return;
            }
            ErrorReport report = hooks.TakeReport(heard.Key, heard.Text);
            if (report != null)
            {
                report.ProductId = heard.ProductId;
                Messages.Post(() => HearError(report));
            }
        }

        internal override SlSaveData* NativeSaveData()
        {
            SlSaveData* saveData;
            Ok(NativeMethods.locker_get_save_data(Native, &saveData));
            return saveData;
        }

        internal override void HearOwn(Lifecycle lifecycle)
        {
            if (lifecycle == SessionLocker.Lifecycle.Idling)
            {
                Raise(Idling, new LifecycleEventArgs(lifecycle, Reason.None));
            }
            else if (lifecycle == SessionLocker.Lifecycle.Deleted)
            {
                Raise(Deleted, new LifecycleEventArgs(lifecycle, Reason.None));
            }
        }

        private bool IsToBeDeleted()
        {
            int isDeleted;
            return !IsDisposed && NativeMethods.locker_is_deleted(Native, &isDeleted) == 0 && isDeleted == 0;
        }

        // The lockers of a spec have their reports in common: only here it shows whether somebody listens to this one.
        private void HearError(ErrorReport report)
        {
            if (Error != null)
            {
                Raise(Error, report);
            }
            else if (!hooks.IsReporting)
            {
                Unheard.Report(report);
            }
        }

        private SavedAnswer Wait(SlSavedConnection** connection)
        {
            var answer = new SavedAnswer(Messages);
            int status = NativeMethods.locker_when_changes_saved(
                Native, (void*)SavedAnswer.Pointer, answer.Hold(), (void*)HookData.Drop, connection);
            if (status != 0)
            {
                answer.TakeBack();
            }
            Ok(status);
            return answer;
        }

        private void Finish(int status)
        {
            EventPump.Finish(this, Messages, status, this);
        }
    }
}
