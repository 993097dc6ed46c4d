#include "cuda_stream.h"

#include "check_cuda.h"
#include "relaxed_capture.h"

namespace faceaffect {

namespace {

cudaStream_t as_stream(void* handle) { return static_cast<cudaStream_t>(handle); }

}  // namespace

Graph::~Graph() {
  const RelaxedCapture relaxed;
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_));
}

void Graph::launch(void* stream) const {
  check_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), as_stream(stream)),
             "launching a CUDA graph");
}

Stream::Stream() {
  require_device();
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a CUDA stream");
  stream_ = stream;
}

Stream::~Stream() { cudaStreamDestroy(as_stream(stream_)); }

void Stream::synchronize() const {
  check_cuda(cudaStreamSynchronize(as_stream(stream_)), "waiting for the GPU");
}

void Stream::wait(const Event& event) const {
  check_cuda(cudaStreamWaitEvent(as_stream(stream_), static_cast<cudaEvent_t>(event.handle()), 0),
             "making a stream wait");
}

void Stream::begin_capture() const {
  // Thread-local capture: a global one makes allocations of other threads fail while it lasts.
  check_cuda(cudaStreamBeginCapture(as_stream(stream_), cudaStreamCaptureModeThreadLocal),
             "starting a graph capture");
}

std::unique_ptr<Graph> Stream::end_capture() const {
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamEndCapture(as_stream(stream_), &graph), "ending a graph capture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check_cuda(status, "making a captured graph ready");
  return std::make_unique<Graph>(executable);
}

void Stream::abandon_capture() const noexcept {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(as_stream(stream_), &graph) == cudaSuccess && graph != nullptr)
    cudaGraphDestroy(graph);
  cudaGetLastError();  // clears the error, which has been reported already
}

Event::Event(bool timed) {
  require_device();
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming),
             "making a CUDA event");
  event_ = event;
}

Event::~Event() { cudaEventDestroy(static_cast<cudaEvent_t>(event_)); }

void Event::record(void* stream) const {
  check_cuda(cudaEventRecord(static_cast<cudaEvent_t>(event_), as_stream(stream)),
             "recording a CUDA event");
}

void Event::synchronize() const {
  check_cuda(cudaEventSynchronize(static_cast<cudaEvent_t>(event_)), "waiting for a CUDA event");
}

bool Event::is_done() const {
  const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(event_));
  if (status == cudaErrorNotReady) {
    cudaGetLastError();  // clears the error, which is none
    return false;
  }
  check_cuda(status, "asking a CUDA event");
  return true;
}

float Event::elapsed_ms(const Event& later) const {
  float elapsed = 0.0f;
  check_cuda(cudaEventElapsedTime(&elapsed, static_cast<cudaEvent_t>(event_),
                                  static_cast<cudaEvent_t>(later.event_)),
             "timing with CUDA events");
  return elapsed;
}

void order_after(void* producer, void* stream) {
  if (producer == stream) return;
  const Event event(false);
  event.record(producer);
  check_cuda(cudaStreamWaitEvent(as_stream(stream), static_cast<cudaEvent_t>(event.handle()), 0),
             "making a stream wait for an array's producer");
}

}  // namespace faceaffect
