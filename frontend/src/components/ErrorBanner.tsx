import type { ApiError } from "../api/client";

export function ErrorBanner({ error, lost }: { error: ApiError | null; lost: boolean }) {
  if (!error && !lost) return null;
  return (
    <div className="banner" role="alert" data-testid="error-banner" data-code={error?.code ?? "Disconnected"}>
      {error ? <><strong>{error.message}</strong>{error.wayOut && <> {error.wayOut}</>}</> : <><strong>The live connection is lost.</strong> What you see is the last that arrived; the page reconnects by itself.</>}
    </div>
  );
}
