using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Something that is answered once, later: a task that completes when the update in which the answer came
    /// is done, on that update's thread.
    /// </summary>
    internal abstract class Answer<T> : HookData
    {
        private readonly TaskCompletionSource<T> source = new TaskCompletionSource<T>();
        private readonly Dispatcher messages;
        private bool isAnswered;

        /// <summary><paramref name="messages"/> may be null for what nobody waits for.</summary>
        protected Answer(Dispatcher messages)
        {
            this.messages = messages;
        }

        public Task<T> Task
        {
            get { return source.Task; }
        }

        protected void Give(T answer)
        {
            isAnswered = true;
            messages.Answer(() => source.TrySetResult(answer));
        }

        /// <summary>It is dropped without an answer: what it waited for will never be.</summary>
        protected override void Dropped()
        {
            if (!isAnswered && messages != null)
            {
                messages.Answer(Abandoned);
            }
        }

        /// <summary>What the task comes to then.</summary>
        protected abstract void Abandoned();

        protected void Cancel()
        {
            source.TrySetCanceled();
        }

        protected void Set(T answer)
        {
            source.TrySetResult(answer);
        }
    }

    /// <summary>A wait for a load.</summary>
    internal sealed class LoadedAnswer : Answer<bool>
    {
        private static readonly LoadedShape Delegate = OnLoaded;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        public LoadedAnswer(Dispatcher messages)
            : base(messages)
        {
        }

        /// <summary>Answers with false, now: loading was given up.</summary>
        public void GiveUp()
        {
            Set(false);
        }

        // The session has ended.
        protected override void Abandoned()
        {
            Set(false);
        }

        [MonoPInvokeCallback(typeof(LoadedShape))]
        private static void OnLoaded(IntPtr userData, IntPtr profile)
        {
            try
            {
                From<LoadedAnswer>(userData).Give(true);
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // Nothing of the host's runs here.
            }
        }
    }

    /// <summary>A wait for changes to be saved.</summary>
    internal sealed class SavedAnswer : Answer<bool>
    {
        // Kept until the answer, for a connection that is collected gives up its wait; and of many a one only the task
        // is kept.
        private SavedConnection connection;

        private static readonly AnswerShape Delegate = OnSaved;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        public SavedAnswer(Dispatcher messages)
            : base(messages)
        {
        }

        /// <summary>The wait as an object.</summary>
        public unsafe SavedConnection Connect(SlSavedConnection* native)
        {
            connection = new SavedConnection(native, Task);
            return connection;
        }

        // Somebody has disconnected it.
        protected override void Abandoned()
        {
            Cancel();
        }

        [MonoPInvokeCallback(typeof(AnswerShape))]
        private static void OnSaved(IntPtr userData, int outcome)
        {
            try
            {
                From<SavedAnswer>(userData).Give(outcome == NativeMethods.SL_OUTCOME_SAVED);
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // Nothing of the host's runs here.
            }
        }
    }

    /// <summary>A send of remote changes.</summary>
    internal sealed class SendAnswer : Answer<SendOutcome>
    {
        private static readonly SendShape Delegate = OnSent;

        public static readonly IntPtr Pointer = Marshal.GetFunctionPointerForDelegate(Delegate);

        public SendAnswer(Dispatcher messages)
            : base(messages)
        {
        }

        protected override void Abandoned()
        {
            Cancel();
        }

        [MonoPInvokeCallback(typeof(SendShape))]
        private static void OnSent(IntPtr userData, ulong sendId, int outcome)
        {
            try
            {
                From<SendAnswer>(userData).Give((SendOutcome)outcome);
            }
            catch (Exception thrown)
            {
                HookFailure.Contain(thrown); // Nothing of the host's runs here.
            }
        }
    }
}
