using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>What a drain could not do in time. Both lists are empty when all went well.</summary>
    public sealed unsafe class DrainReport
    {
        internal DrainReport(SlDrainReport* native)
        {
            try
            {
                Unsaved = ReadUnsaved(native);
                Unsent = ReadUnsent(native);
            }
            finally
            {
                NativeMethods.drain_report_destroy(native);
            }
        }

        /// <summary>The keys whose sessions are not released.</summary>
        public UnsavedKey[] Unsaved { get; private set; }

        /// <summary>The keys to which remote changes were not sent. The store goes on until it is disposed.</summary>
        public UnsentKey[] Unsent { get; private set; }

        private static UnsavedKey[] ReadUnsaved(SlDrainReport* native)
        {
            UIntPtr count;
            Check.Ok(NativeMethods.drain_report_unsaved_count(native, &count), null);
            var keys = new UnsavedKey[(int)count];
            for (int at = 0; at < keys.Length; at++)
            {
                var unsaved = new SlUnsaved { struct_size = (uint)sizeof(SlUnsaved) };
                Check.Ok(NativeMethods.drain_report_get_unsaved(native, (UIntPtr)at, &unsaved), null);
                keys[at] = new UnsavedKey(&unsaved);
            }
            return keys;
        }

        private static UnsentKey[] ReadUnsent(SlDrainReport* native)
        {
            UIntPtr count;
            Check.Ok(NativeMethods.drain_report_unsent_count(native, &count), null);
            var keys = new UnsentKey[(int)count];
            for (int at = 0; at < keys.Length; at++)
            {
                var unsent = new SlUnsent { struct_size = (uint)sizeof(SlUnsent) };
                Check.Ok(NativeMethods.drain_report_get_unsent(native, (UIntPtr)at, &unsent), null);
                keys[at] = new UnsentKey(&unsent);
            }
            return keys;
        }
    }

    /// <summary>A key whose session a drain could not release in time.</summary>
    public sealed unsafe class UnsavedKey
    {
        internal UnsavedKey(SlUnsaved* native)
        {
            Key = Utf8.Read(native->key);
            Reason = Utf8.Read(native->reason);
            Outcome = (SaveOutcome)native->outcome;
        }

        /// <summary>The key.</summary>
        public string Key { get; private set; }

        /// <summary>Why, for a person.</summary>
        public string Reason { get; private set; }

        /// <summary>
        /// What became of the last changes: <see cref="SaveOutcome.Saved"/> where only the release itself was left,
        /// <see cref="SaveOutcome.Unknown"/> where a commit is not answered.
        /// </summary>
        public SaveOutcome Outcome { get; private set; }
    }

    /// <summary>A key to which a drain could not send all remote changes in time.</summary>
    public sealed unsafe class UnsentKey
    {
        internal UnsentKey(SlUnsent* native)
        {
            Key = Utf8.Read(native->key);
            Reason = Utf8.Read(native->reason);
            Outcome = (SendOutcome)native->outcome;
            ChangeCount = checked((int)native->change_count);
        }

        /// <summary>The key.</summary>
        public string Key { get; private set; }

        /// <summary>Why, for a person.</summary>
        public string Reason { get; private set; }

        /// <summary>
        /// <see cref="SendOutcome.Unknown"/> where a commit with some of them is not answered, else
        /// <see cref="SendOutcome.NotSent"/>.
        /// </summary>
        public SendOutcome Outcome { get; private set; }

        /// <summary>How many changes.</summary>
        public int ChangeCount { get; private set; }
    }
}
