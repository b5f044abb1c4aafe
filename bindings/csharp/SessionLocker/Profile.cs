using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// One player's session: the original's <c>EasyProfile</c>. Begun by <see cref="EasyStore.StartSession"/>.
    /// </summary>
    /// <remarks>
    /// <see cref="EndSession"/> ends it; its events are heard until <see cref="Finished"/>. <see cref="Dispose"/> ends it
    /// too, and nothing more is heard: the store saves and releases it by itself.
    /// </remarks>
    public sealed unsafe class Profile : Session
    {
        private static readonly Func<IntPtr, int> Destroy =
            profile => Sessions.Remove(profile, NativeMethods.profile_destroy((SlProfile*)profile));

        private static readonly Predicate<LoadedAnswer> IsAnswered = answer => answer.Task.IsCompleted;

        private readonly EasyStore store;
        private readonly string key;
        private readonly List<LoadedAnswer> loading = new List<LoadedAnswer>();
        private Action<Profile> beforeSave;
        private Action<Profile> beforeSaveTransform;

        internal Profile(SlProfile* native, EasyStore store, string key)
            : base(native, Destroy, store.Messages, false)
        {
            this.store = store;
            this.key = key;
        }

        /// <summary>The profile was ended by the host.</summary>
        public event EventHandler<LifecycleEventArgs> Destroyed;

        /// <summary>The session is over and its key released; the last thing a profile says.</summary>
        public event EventHandler<LifecycleEventArgs> Finished;

        /// <summary>The key that the session was started for.</summary>
        public string Key
        {
            get { return key; }
        }

        /// <summary>Whether the session has not been ended by the host.</summary>
        public bool IsActive
        {
            get
            {
                int isActive;
                Ok(NativeMethods.profile_is_active(Native, &isActive));
                return isActive != 0;
            }
        }

        /// <summary>Whether the save data is the player's.</summary>
        public bool IsLoaded
        {
            get
            {
                int isLoaded;
                Ok(NativeMethods.profile_is_loaded(Native, &isLoaded));
                return isLoaded != 0;
            }
        }

        /// <summary>
        /// Whether the save data is the player's and will be saved: loaded, within the lease, and not being released.
        /// False before another server could take the key: to be asked before what must not be done twice.
        /// </summary>
        public bool IsAvailable
        {
            get
            {
                int isAvailable;
                Ok(NativeMethods.profile_is_available(Native, &isAvailable));
                return isAvailable != 0;
            }
        }

        /// <summary>Whether the profile has said its last.</summary>
        public bool IsFinished
        {
            get
            {
                int isFinished;
                Ok(NativeMethods.profile_is_finished(Native, &isFinished));
                return isFinished != 0;
            }
        }

        /// <summary>How far loading has come.</summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the session is over.</exception>
        public LoadStatus LoadStatus
        {
            get
            {
                int loadStatus;
                Ok(NativeMethods.profile_load_status(Native, &loadStatus));
                return (LoadStatus)loadStatus;
            }
        }

        /// <summary>
        /// The version that a server must have for this player's document, after
        /// <see cref="SessionLocker.LoadStatus.InvalidVersion"/>; 0 otherwise.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the session is over.</exception>
        public int LoadMinimumServerVersion
        {
            get
            {
                uint version;
                Ok(NativeMethods.profile_load_minimum_server_version(Native, &version));
                return checked((int)version);
            }
        }

        /// <summary>
        /// Runs before every save, the final one included; null for none. It may write to the save data, and what it
        /// writes is in that save. An exception is a failure: the save data is as before the hook, and the save is put
        /// off for a cooldown; when the session is about to run out, and at its end, it is saved without the hook.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the profile is finished.</exception>
        public Action<Profile> BeforeSave
        {
            get
            {
                return beforeSave;
            }

            set
            {
                BeforeSaveHook hook = value == null ? null : new BeforeSaveHook(this, value);
                Set(hook, NativeMethods.profile_set_before_save(
                    Native, BeforeSaveHook.PointerOf(hook), BeforeSaveHook.Hold(hook), BeforeSaveHook.DropOf(hook)));
                beforeSave = value;
            }
        }

        /// <summary>The same, after <see cref="BeforeSave"/>, just before the document is written out.</summary>
        public Action<Profile> BeforeSaveTransform
        {
            get
            {
                return beforeSaveTransform;
            }

            set
            {
                BeforeSaveHook hook = value == null ? null : new BeforeSaveHook(this, value);
                Set(hook, NativeMethods.profile_set_before_save_transform(
                    Native, BeforeSaveHook.PointerOf(hook), BeforeSaveHook.Hold(hook), BeforeSaveHook.DropOf(hook)));
                beforeSaveTransform = value;
            }
        }

        private SlProfile* Native
        {
            get { return (SlProfile*)Name; }
        }

        /// <summary>The whole document as JSON, reserved fields included.</summary>
        public string GetSaveDataJson()
        {
            SlBuffer json;
            Ok(NativeMethods.profile_get_save_data_json(Native, &json));
            return Utf8.Take(ref json);
        }

        /// <summary>
        /// Replaces every field of the player's by those of a JSON object. Reserved fields stay, also where the object
        /// has some: so a host may write back what it has read, or what it has serialised of its own.
        /// </summary>
        public void SetSaveDataJson(string json)
        {
            UIntPtr length;
            byte* text = Scratch.First(json, out length);
            Ok(NativeMethods.profile_set_save_data_json(Native, text, length));
        }

        /// <summary>The document of the session that was lost last, with what was not saved.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.NotFound"/> (none was lost), <see cref="SessionLockerStatus.NotActive"/>.
        /// </exception>
        public string GetLostSaveDataJson()
        {
            SlBuffer json;
            Ok(NativeMethods.profile_get_lost_save_data(Native, &json));
            return Utf8.Take(ref json);
        }

        /// <summary>Notes a change: it is in the next save. A write to the save data notes itself.</summary>
        public void MarkShouldSave()
        {
            Ok(NativeMethods.profile_mark_should_save(Native));
        }

        /// <summary>Notes a change and saves at the next update.</summary>
        public void MarkForceSave()
        {
            Ok(NativeMethods.profile_mark_force_save(Native));
        }

        /// <summary>
        /// Completes with true once the profile is loaded; with false if the session ends first, or if loading is given
        /// up: see <see cref="LoadStatus"/>.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the session was ended.</exception>
        public Task<bool> WhenLoadedAsync()
        {
            var answer = new LoadedAnswer(Messages);
            int status = NativeMethods.profile_when_loaded(
                Native, (void*)LoadedAnswer.Pointer, answer.Hold(), (void*)HookData.Drop);
            if (status != 0)
            {
                answer.TakeBack();
            }
            Ok(status);
            lock (loading)
            {
                loading.RemoveAll(IsAnswered); // The library answers those of a profile that is loaded already.
                loading.Add(answer);
            }
            int loadStatus;
            if (NativeMethods.profile_load_status(Native, &loadStatus) == 0 && IsFinal((LoadStatus)loadStatus))
            {
                Messages.Answer(answer.GiveUp);
            }
            return answer.Task;
        }

        /// <summary>
        /// Completes once the changes made so far are saved, with true; with false if the session ends without them, or
        /// if nobody knows: for that difference see <see cref="WhenChangesSaved"/>.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the profile is finished.</exception>
        public Task<bool> WhenChangesSavedAsync()
        {
            SavedAnswer answer = Wait(null);
            return answer.Task;
        }

        /// <summary>The same, as a wait that can be looked at, answered by hand and given up. To be disposed.</summary>
        public SavedConnection WhenChangesSaved()
        {
            SlSavedConnection* connection;
            SavedAnswer answer = Wait(&connection);
            return answer.Connect(connection);
        }

        /// <summary>Updates the store until the profile is loaded. Blocks; for tools.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Timeout"/>, <see cref="SessionLockerStatus.NotActive"/> (the session was ended),
        /// <see cref="SessionLockerStatus.NotLoaded"/> (loading was given up), <see cref="SessionLockerStatus.Busy"/>.
        /// </exception>
        public void WaitUntilLoaded(TimeSpan timeout)
        {
            Messages.Enter();
            Finish(NativeMethods.profile_wait_until_loaded(Native, Seconds.Of(timeout)));
        }

        /// <summary>
        /// Updates the store until the changes made so far are saved (true) or the session has ended without them,
        /// as far as anybody knows (false). Blocks; for tools.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Timeout"/> (they may still be saved later), <see cref="SessionLockerStatus.Busy"/>,
        /// <see cref="SessionLockerStatus.NotActive"/> (the profile is finished).
        /// </exception>
        public bool WaitUntilChangesSaved(TimeSpan timeout)
        {
            int wasSaved = 0;
            Messages.Enter();
            Finish(NativeMethods.profile_wait_until_changes_saved(Native, Seconds.Of(timeout), &wasSaved));
            return wasSaved != 0;
        }

        /// <summary>Sets what the session's log lines begin with, at most 1024 bytes; empty for the default.</summary>
        public void SetLogPrefix(string logPrefix)
        {
            UIntPtr length;
            byte* text = Scratch.First(logPrefix, out length);
            Ok(NativeMethods.profile_set_log_prefix(Native, text, length));
        }

        /// <summary>
        /// Ends the session: it is saved and released in the updates that follow, until <see cref="Finished"/>. On an ended
        /// session it does nothing.
        /// </summary>
        public void EndSession()
        {
            Ok(NativeMethods.profile_end_session(Native));
        }

        /// <summary>How much of a product the player has paid for and not been given yet.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.NotLoaded"/>, <see cref="SessionLockerStatus.NotActive"/> (finished).
        /// </exception>
        public long ProductCreditQuery(long productId)
        {
            long credit;
            Ok(NativeMethods.profile_product_credit_query(Native, productId, &credit));
            return credit;
        }

        /// <summary>Adds 1 or more to the credit of a product. Counts as a change.</summary>
        /// <exception cref="SessionLockerException">
        /// As for <see cref="ProductCreditQuery"/>, <see cref="SessionLockerStatus.OutOfRange"/>,
        /// <see cref="SessionLockerStatus.Busy"/> (a hook owns the save data). Then nothing has changed.
        /// </exception>
        public void ProductCreditGive(long productId, long amount)
        {
            Ok(NativeMethods.profile_product_credit_give(Native, productId, amount));
        }

        /// <summary>Takes 1 or more from the credit of a product; false, and no change, where there is too little.</summary>
        /// <exception cref="SessionLockerException">As for <see cref="ProductCreditGive"/>.</exception>
        public bool ProductCreditUse(long productId, long amount)
        {
            int didUse;
            Ok(NativeMethods.profile_product_credit_use(Native, productId, amount, &didUse));
            return didUse != 0;
        }

        /// <summary>
        /// Processes a purchase once the save data is available, inside the store's updates, and answers it once: true when
        /// its effect and the entry in the history are in the storage, and the platform may be told so; false when the
        /// session is over before that, or when it is a gift and the recipient cannot be given it now. To be called for each
        /// receipt that the platform brings, as often as it brings it: a purchase is applied once and granted each time.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.InvalidArgument"/> (the receipt), <see cref="SessionLockerStatus.NotActive"/> (finished).
        /// </exception>
        public Task<bool> WhenProductIsProcessedAndSavedAsync(ProductProcess process, ReceiptInfo receipt)
        {
            using (var texts = new Arena())
            {
                SlReceiptInfo info;
                ReceiptInfo.Fill(receipt, &info, texts);
                var answer = new PurchaseAnswer(process, Messages);
                int status = NativeMethods.profile_call_when_product_is_processed_and_saved(
                    Native, (void*)PurchaseAnswer.ProcessPointer, &info, (void*)PurchaseAnswer.AnswerPointer, answer.Hold(),
                    (void*)HookData.Drop);
                if (status != 0)
                {
                    answer.TakeBack();
                }
                Ok(status);
                return answer.Task;
            }
        }

        /// <summary>Processes a purchase, and updates the store until it is answered. Blocks; for tools.</summary>
        /// <exception cref="SessionLockerException">
        /// As for <see cref="WhenProductIsProcessedAndSavedAsync"/>, and <see cref="SessionLockerStatus.Timeout"/>: the purchase
        /// goes on, and the receipt can be asked for again.
        /// </exception>
        public bool WaitUntilProductIsProcessedAndSaved(ProductProcess process, ReceiptInfo receipt, TimeSpan timeout)
        {
            using (var texts = new Arena())
            {
                SlReceiptInfo info;
                int wasGranted = 0;
                ReceiptInfo.Fill(receipt, &info, texts);
                var hook = new PurchaseAnswer(process, null);
                Messages.Enter();
                int status = NativeMethods.profile_wait_until_product_is_processed_and_saved(
                    Native, (void*)PurchaseAnswer.ProcessPointer, &info, hook.Hold(), (void*)HookData.Drop, Seconds.Of(timeout),
                    &wasGranted);
                hook.TakeBackAfterWait(status);
                Finish(status);
                return wasGranted != 0;
            }
        }

        /// <summary>
        /// Ends the session, and frees the profile: its events are not heard any more, its hooks do not run any more, and
        /// the store saves and releases it by itself. Tasks still complete.
        /// </summary>
        public override void Dispose()
        {
            store.Forget(this);
            base.Dispose();
        }

        internal override SlSaveData* NativeSaveData()
        {
            SlSaveData* saveData;
            Ok(NativeMethods.profile_get_save_data(Native, &saveData));
            return saveData;
        }

        internal override void Hear(NativeEvent heard)
        {
            if (heard.Kind == NativeMethods.SL_EVENT_LOAD_STATUS)
            {
                HearLoadStatus(heard.LoadStatus);
            }
            base.Hear(heard);
        }

        internal override void HearOwn(Lifecycle lifecycle)
        {
            if (lifecycle == SessionLocker.Lifecycle.Destroyed)
            {
                Raise(Destroyed, new LifecycleEventArgs(lifecycle, Reason.None));
            }
            else if (lifecycle == SessionLocker.Lifecycle.Finished)
            {
                store.Forget(this);
                Raise(Finished, new LifecycleEventArgs(lifecycle, Reason.None));
            }
        }

        private static bool IsFinal(LoadStatus status)
        {
            return status != LoadStatus.Loading && status != LoadStatus.DataStoreRequestFail
                && status != LoadStatus.SessionIsLocked && status != LoadStatus.Loaded;
        }

        private void HearLoadStatus(LoadStatus status)
        {
            lock (loading)
            {
                if (IsFinal(status))
                {
                    loading.ForEach(answer => Messages.Answer(answer.GiveUp));
                    loading.Clear();
                }
                else if (status == LoadStatus.Loaded)
                {
                    loading.Clear(); // The library has answered them.
                }
            }
        }

        private SavedAnswer Wait(SlSavedConnection** connection)
        {
            var answer = new SavedAnswer(Messages);
            int status = NativeMethods.profile_when_changes_saved(
                Native, (void*)SavedAnswer.Pointer, answer.Hold(), (void*)HookData.Drop, connection);
            if (status != 0)
            {
                answer.TakeBack();
            }
            Ok(status);
            return answer;
        }

        private void Set(BeforeSaveHook hook, int status)
        {
            if (status != 0 && hook != null)
            {
                hook.TakeBack();
            }
            Ok(status);
        }

        private void Finish(int status)
        {
            store.Finish(status, this);
        }
    }
}
