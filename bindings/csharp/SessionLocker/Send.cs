using System;
using System.Threading.Tasks;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>The arguments of a send, and its answer.</summary>
    internal sealed unsafe class Send : IDisposable
    {
        public readonly byte* Key;
        public readonly UIntPtr KeyLength;
        public readonly byte* Json;
        public readonly UIntPtr JsonLength;

        private readonly Arena texts = new Arena();
        private readonly SendAnswer answer;
        private readonly string operationId;

        public Send(string key, string json, string operationId, Dispatcher messages)
        {
            answer = new SendAnswer(messages);
            this.operationId = operationId;
            try
            {
                Key = texts.Needed(key, "key", out KeyLength);
                Json = texts.Needed(json, "jsonArray", out JsonLength);
            }
            catch (Exception)
            {
                texts.Dispose();
                throw;
            }
        }

        public SlSendOptions* Fill(SlSendOptions* place)
        {
            if (operationId == null)
            {
                return null;
            }
            Check.Ok(NativeMethods.session_locker_send_options_init(place, (UIntPtr)sizeof(SlSendOptions)), null);
            place->operation_id = texts.Text(operationId, out place->operation_id_length);
            return place;
        }

        public void* Hold()
        {
            return answer.Hold();
        }

        public Task<SendOutcome> Finish(int status, NativeObject of)
        {
            if (status != 0)
            {
                answer.TakeBack();
                throw Check.Failure(status, of);
            }
            return answer.Task;
        }

        public void Dispose()
        {
            texts.Dispose();
        }
    }
}
