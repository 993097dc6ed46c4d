// CUDA streams, events and graphs with RAII ownership.
#pragma once

#include <cstdint>
#include <memory>

namespace faceaffect {

class Event;

// An instantiated CUDA graph. All memory that it reads and writes must outlive it.
class Graph {
 public:
  explicit Graph(void* executable) : executable_(executable) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(void* stream) const;

 private:
  void* executable_;  // cudaGraphExec_t
};

class Stream {
 public:
  Stream();  // non-blocking: no implicit synchronization with other streams
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void* handle() const { return stream_; }
  void synchronize() const;
  void wait(const Event& event) const;
  // Captures the work that this thread queues instead of running it. Other threads are not
  // affected.
  void begin_capture() const;
  std::unique_ptr<Graph> end_capture() const;
  void abandon_capture() const noexcept;

 private:
  void* stream_ = nullptr;  // cudaStream_t
};

class Event {
 public:
  explicit Event(bool timed);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(void* stream) const;
  void synchronize() const;
  bool is_done() const;
  float elapsed_ms(const Event& later) const;  // both timed and done
  void* handle() const { return event_; }

 private:
  void* event_ = nullptr;  // cudaEvent_t
};

// Makes `stream` wait for all work queued on `producer` so far.
void order_after(void* producer, void* stream);

}  // namespace faceaffect
