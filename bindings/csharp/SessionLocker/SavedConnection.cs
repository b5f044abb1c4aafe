using System;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// A wait for changes to be saved that can be looked at, answered by hand and given up: the original's
    /// <c>SavedConnection</c>. Answered exactly once, unless it is disconnected first. Any thread.
    /// </summary>
    public sealed unsafe class SavedConnection : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            connection => NativeMethods.saved_connection_destroy((SlSavedConnection*)connection);

        private readonly Task<bool> task;

        internal SavedConnection(SlSavedConnection* native, Task<bool> task)
            : base(native, Destroy)
        {
            this.task = task;
        }

        private SlSavedConnection* Native
        {
            get { return (SlSavedConnection*)Name; }
        }

        /// <summary>
        /// Completes with the answer, at the end of the update that brings it: true when the changes are in the
        /// storage. Cancelled if the wait is given up.
        /// </summary>
        public Task<bool> Task
        {
            get { return task; }
        }

        /// <summary>Whether the changes are in the storage.</summary>
        public bool IsSaved
        {
            get
            {
                int isSaved;
                Ok(NativeMethods.saved_connection_is_saved(Native, &isSaved));
                return isSaved != 0;
            }
        }

        /// <summary>Whether it still waits: until it is answered or disconnected.</summary>
        public bool IsConnected
        {
            get
            {
                int isConnected;
                Ok(NativeMethods.saved_connection_is_connected(Native, &isConnected));
                return isConnected != 0;
            }
        }

        /// <summary>The answer; <see cref="SaveOutcome.None"/> while it waits and after it was given up.</summary>
        public SaveOutcome Outcome
        {
            get
            {
                int outcome;
                Ok(NativeMethods.saved_connection_outcome(Native, &outcome));
                return (SaveOutcome)outcome;
            }
        }

        /// <summary>
        /// Answers the wait by hand; the task completes with the next update. On one that does not wait any more
        /// it does nothing.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.NotActive"/>: the session has ended.</exception>
        public void Trigger(bool wasSaved)
        {
            Ok(NativeMethods.saved_connection_trigger(Native, wasSaved ? 1 : 0));
        }

        /// <summary>
        /// Gives up the wait; its task is cancelled with the next update. On one that was answered it does nothing.
        /// </summary>
        public void Disconnect()
        {
            Ok(NativeMethods.saved_connection_disconnect(Native));
        }
    }
}
