// Streams and events of the stand-in runtime.
//
// FACEAFFECT_STANDIN_DELAY_US: longest random delay before a step of a stream, microseconds.
#include <random>

#include "runtime.h"

using namespace standin;

namespace {

struct Ticket {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_done = false;
  std::chrono::steady_clock::time_point at;
};

struct EventData {
  std::shared_ptr<Ticket> ticket;
  bool is_captured = false;
};

EventData* event_of(cudaEvent_t event) { return reinterpret_cast<EventData*>(event); }

// Python ends threads that call it while it exits: nobody may wait for such a stream.
struct EndOnUnwinding {
  StreamData* stream;
  ~EndOnUnwinding() {
    if (stream == nullptr) return;
    std::lock_guard<std::mutex> hold(stream->mutex);
    stream->has_ended = true;
    stream->changed.notify_all();
  }
};

void run_operation(StreamData* stream, const Operation& operation) {
  EndOnUnwinding guard{stream};
  try {
    operation.run();
  } catch (const Fault& fault) {
    lose_device(fault.code, operation.name + ": " + fault.what);
  }
  guard.stream = nullptr;
}

void run_stream(StreamData* stream) {
  std::mt19937 random(std::random_device{}());
  const int delay_us = setting("DELAY_US", 0);
  for (;;) {
    std::unique_lock<std::mutex> hold(stream->mutex);
    stream->changed.wait(hold, [&] { return stream->must_stop || !stream->queue.empty(); });
    if (stream->queue.empty()) return;
    const Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    stream->is_busy = true;
    hold.unlock();
    if (delay_us > 0)
      std::this_thread::sleep_for(
          std::chrono::microseconds(random() % static_cast<unsigned>(delay_us)));
    if (g_sticky == 0) run_operation(stream, operation);
    hold.lock();
    stream->is_busy = false;
    stream->changed.notify_all();
  }
}

StreamData* default_stream() {
  static StreamData* stream = make_stream();
  return stream;
}

// Returns once the ticket is done or the device is lost.
void wait_for(const std::shared_ptr<Ticket>& ticket) {
  if (!ticket) return;
  std::unique_lock<std::mutex> hold(ticket->mutex);
  while (!ticket->is_done && g_sticky == 0)
    ticket->changed.wait_for(hold, std::chrono::milliseconds(20));
}

}  // namespace

namespace standin {

// The legacy and the per-thread default stream have the handles 0, 1 and 2.
bool is_default(cudaStream_t stream) { return reinterpret_cast<uint64_t>(stream) < 3; }

cudaError_t failed(int code) { return static_cast<cudaError_t>(note(code)); }

bool erase(std::set<void*>& owned, void* handle) {
  std::lock_guard<std::mutex> hold(g_mutex);
  return owned.erase(handle) != 0;
}

void insert(std::set<void*>& owned, void* handle) {
  std::lock_guard<std::mutex> hold(g_mutex);
  owned.insert(handle);
}

StreamData* make_stream() {
  auto* stream = new StreamData;
  stream->worker = std::thread(run_stream, stream);
  return stream;
}

StreamData* stream_of(cudaStream_t stream) {
  return is_default(stream) ? default_stream() : reinterpret_cast<StreamData*>(stream);
}

std::vector<StreamData*> all_streams() {
  std::vector<StreamData*> all{default_stream()};
  std::lock_guard<std::mutex> hold(g_mutex);
  for (void* stream : g_streams) all.push_back(static_cast<StreamData*>(stream));
  return all;
}

bool is_pending(StreamData* stream) {
  std::lock_guard<std::mutex> hold(stream->mutex);
  return stream->is_busy || !stream->queue.empty();
}

void drain(StreamData* stream) {
  std::unique_lock<std::mutex> hold(stream->mutex);
  stream->changed.wait(
      hold, [&] { return (stream->queue.empty() && !stream->is_busy) || stream->has_ended; });
}

cudaError_t put(StreamData* stream, Operation operation) {
  if (stream->capture) {
    stream->capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  std::lock_guard<std::mutex> hold(stream->mutex);
  stream->queue.push_back(std::move(operation));
  stream->changed.notify_all();
  return cudaSuccess;
}

bool breaks_capture(cudaStream_t stream) {
  if (t_capturing == nullptr || !is_default(stream)) return false;
  t_capturing->is_capture_broken = true;
  return true;
}

}  // namespace standin

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  ENTER_UNSAFE(cudaStreamCreateWithFlags);
  auto* made = make_stream();
  insert(g_streams, made);
  *stream = reinterpret_cast<cudaStream_t>(made);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  ENTER(cudaStreamDestroy);
  auto* data = reinterpret_cast<StreamData*>(stream);
  if (!erase(g_streams, data)) return failed(cudaErrorInvalidResourceHandle);
  {
    std::lock_guard<std::mutex> hold(data->mutex);
    data->must_stop = true;
    data->changed.notify_all();
  }
  data->worker.detach();  // leaked: its thread may still run
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ENTER(cudaStreamSynchronize);
  StreamData* data = stream_of(stream);
  if (data->capture) {
    data->is_capture_broken = true;
    fprintf(stderr, "[standin] synchronization during a capture\n");
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  drain(data);
  return failed(g_sticky);
}

cudaError_t cudaDeviceSynchronize() {
  ENTER_UNSAFE(cudaDeviceSynchronize);
  for (StreamData* stream : all_streams()) drain(stream);
  return failed(g_sticky);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  ENTER_UNSAFE(cudaEventCreateWithFlags);
  auto* made = new EventData;
  insert(g_events, made);
  *event = reinterpret_cast<cudaEvent_t>(made);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  ENTER(cudaEventDestroy);
  if (!erase(g_events, event)) return failed(cudaErrorInvalidResourceHandle);
  delete event_of(event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  ENTER(cudaEventRecord);
  auto ticket = std::make_shared<Ticket>();
  event_of(event)->ticket = ticket;
  event_of(event)->is_captured = stream_of(stream)->capture != nullptr;
  return put(stream_of(stream), {"event", [ticket] {
                                   std::lock_guard<std::mutex> hold(ticket->mutex);
                                   ticket->is_done = true;
                                   ticket->at = std::chrono::steady_clock::now();
                                   ticket->changed.notify_all();
                                 }});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  ENTER(cudaEventSynchronize);
  if (event_of(event)->is_captured) return failed(cudaErrorCapturedEvent);
  wait_for(event_of(event)->ticket);
  return failed(g_sticky);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  ENTER_UNSAFE(cudaEventQuery);
  const auto ticket = event_of(event)->ticket;
  if (!ticket) return cudaSuccess;
  std::lock_guard<std::mutex> hold(ticket->mutex);
  return ticket->is_done ? cudaSuccess : failed(cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float* elapsed_ms, cudaEvent_t first, cudaEvent_t second) {
  ENTER(cudaEventElapsedTime);
  const auto passed = event_of(second)->ticket->at - event_of(first)->ticket->at;
  *elapsed_ms = std::chrono::duration<float, std::milli>(passed).count();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  ENTER(cudaStreamWaitEvent);
  const auto ticket = event_of(event)->ticket;
  return put(stream_of(stream), {"wait", [ticket] { wait_for(ticket); }});
}

}  // extern "C"
