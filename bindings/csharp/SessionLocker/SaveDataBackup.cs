using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>The player's fields of a save data as they were at one moment. It outlives the save data.</summary>
    public sealed unsafe class SaveDataBackup : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            backup => NativeMethods.save_data_backup_destroy((SlSaveDataBackup*)backup);

        internal SaveDataBackup(SlSaveDataBackup* native)
            : base(native, Destroy)
        {
        }
    }
}
