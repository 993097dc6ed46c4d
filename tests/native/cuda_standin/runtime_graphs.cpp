// Captures and graphs of the stand-in runtime.
#include "runtime.h"

using namespace standin;

extern "C" {

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  ENTER(cudaThreadExchangeStreamCaptureMode);
  std::swap(*mode, t_mode);
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  ENTER(cudaStreamIsCapturing);
  const StreamData* data = stream_of(stream);
  *status = !data->capture            ? cudaStreamCaptureStatusNone
            : data->is_capture_broken ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  ENTER(cudaStreamBeginCapture);
  StreamData* data = stream_of(stream);
  if (is_default(stream)) return failed(cudaErrorStreamCaptureUnsupported);
  if (data->capture) return failed(cudaErrorIllegalState);
  data->capture = std::make_shared<GraphData>();
  data->is_capture_broken = false;
  data->capturer = std::this_thread::get_id();
  data->mode = mode;
  t_capturing = data;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const int error = enter("cudaStreamEndCapture");
  StreamData* data = stream_of(stream);
  *graph = nullptr;
  if (!data->capture) return failed(error != 0 ? error : cudaErrorInvalidValue);
  if (data->capturer != std::this_thread::get_id())
    return failed(cudaErrorStreamCaptureWrongThread);
  const auto captured = data->capture;
  data->capture = nullptr;
  t_capturing = nullptr;
  if (error != 0) return static_cast<cudaError_t>(error);
  if (data->is_capture_broken) return failed(cudaErrorStreamCaptureInvalidated);
  auto* made = new GraphData(*captured);
  insert(g_graphs, made);
  *graph = reinterpret_cast<cudaGraph_t>(made);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long) {
  ENTER_UNSAFE(cudaGraphInstantiateWithFlags);
  auto* made = new GraphData(*reinterpret_cast<GraphData*>(graph));
  insert(g_executables, made);
  *executable = reinterpret_cast<cudaGraphExec_t>(made);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  ENTER(cudaGraphDestroy);
  if (!erase(g_graphs, graph)) return failed(cudaErrorInvalidValue);
  delete reinterpret_cast<GraphData*>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  ENTER(cudaGraphExecDestroy);
  if (!erase(g_executables, executable)) return failed(cudaErrorInvalidValue);
  delete reinterpret_cast<GraphData*>(executable);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  ENTER(cudaGraphLaunch);
  {
    std::lock_guard<std::mutex> hold(g_mutex);
    if (g_executables.count(executable) == 0) return failed(1);
  }
  for (const Operation& operation : reinterpret_cast<GraphData*>(executable)->operations)
    put(stream_of(stream), operation);
  return cudaSuccess;
}

}  // extern "C"
