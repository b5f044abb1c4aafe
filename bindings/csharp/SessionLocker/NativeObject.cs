using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace SessionLocker
{
    /// <summary>
    /// Something that the native library has made. <see cref="Dispose"/> gives it back; any call after that
    /// throws <see cref="ObjectDisposedException"/>.
    /// </summary>
    /// <remarks>
    /// What the host forgets to dispose is given back by the host's next call that makes an object or updates
    /// one, never by the garbage collector's own thread: nothing is called back there.
    /// </remarks>
    public abstract unsafe class NativeObject : IDisposable
    {
        // Beside the handle, so that a call costs no reference count. A name that has gone stale is refused by
        // the library, never followed, so the object may be disposed while another thread calls.
        private readonly IntPtr name;
        private readonly NativeHandle handle;

        // What was forgotten is freed here, unless it is made where a lock is held: freeing may run code of the host's.
        internal NativeObject(void* native, Func<IntPtr, int> destroy, bool freesForgotten = true)
        {
            name = (IntPtr)native;
            handle = new NativeHandle(name, destroy);
            if (freesForgotten)
            {
                NativeHandle.FreeForgotten();
            }
        }

        /// <summary>Whether <see cref="Dispose"/> has been called.</summary>
        public bool IsDisposed
        {
            get { return handle.IsClosed; }
        }

        // For who reads an ObjectDisposedException.
        internal virtual string TypeName
        {
            get { return GetType().Name; }
        }

        internal IntPtr Name
        {
            get { return name; }
        }

        /// <summary>Gives the object back to the library. A second call does nothing.</summary>
        public virtual void Dispose()
        {
            int status = handle.Free();
            if (status != 0)
            {
                throw Check.Failure(status, this);
            }
        }

        internal void Ok(int status)
        {
            if (status != 0)
            {
                throw Check.Failure(status, this);
            }
        }
    }

    /// <summary>A handle of the library's, which is freed once.</summary>
    internal sealed class NativeHandle : SafeHandle
    {
        private static readonly List<NativeHandle> Forgotten = new List<NativeHandle>();
        private static int forgottenCount;

        private readonly Func<IntPtr, int> destroy;

        public NativeHandle(IntPtr native, Func<IntPtr, int> destroy)
            : base(IntPtr.Zero, true)
        {
            this.destroy = destroy;
            SetHandle(native);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>Frees what the garbage collector has found since the last time. Cheap when it found nothing.</summary>
        public static void FreeForgotten()
        {
            if (Volatile.Read(ref forgottenCount) == 0)
            {
                return;
            }
            NativeHandle[] handles;
            lock (Forgotten)
            {
                handles = Forgotten.ToArray();
                Forgotten.Clear();
                forgottenCount = 0;
            }
            foreach (NativeHandle forgotten in handles)
            {
                forgotten.destroy(forgotten.handle);
            }
        }

        /// <summary>Frees the handle now, unless the library says that it is in use.</summary>
        public int Free()
        {
            if (IsClosed)
            {
                return 0;
            }
            int status = destroy(handle);
            if (status == (int)SessionLockerStatus.InvalidHandle)
            {
                status = 0; // It went with what it belonged to.
            }
            if (status == 0)
            {
                SetHandleAsInvalid();
            }
            return status;
        }

        // Free never comes here; so this is the finalizer. Freeing may answer waits, run the host's log handler,
        // and wait for a disk: none of that is for the finalizer's thread.
        protected override bool ReleaseHandle()
        {
            lock (Forgotten)
            {
                Forgotten.Add(this);
                Volatile.Write(ref forgottenCount, Forgotten.Count);
            }
            return true;
        }
    }
}
