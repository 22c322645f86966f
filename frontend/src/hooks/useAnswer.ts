import { useEffect, useState } from "react";
import { ApiError, ask } from "../api/client";

export interface Answer<T> { value: T | null; error: ApiError | null; loading: boolean; answered_ms: number | null }

/** Ask a path, and again whenever it or `turn` changes; the last good value of the same path stays while asking. */
export function useAnswer<T>(path: string | null, turn = 0): Answer<T> {
  const [held, setHeld] = useState<Answer<T> & { path: string | null }>({ path: null, value: null, error: null, loading: true, answered_ms: null });
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    ask<T>(path, stop.signal).then(
      (value) => setHeld({ path, value, error: null, loading: false, answered_ms: Date.now() }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const said = error instanceof ApiError ? error : new ApiError("Unexpected", String(error));
        setHeld((was) => ({ path, value: was.path === path ? was.value : null, error: said, loading: false, answered_ms: was.answered_ms }));
      },
    );
    return () => stop.abort();
  }, [path, turn]);
  return held.path === path ? held : { value: null, error: null, loading: true, answered_ms: null };
}
