import java.util.concurrent.atomic.AtomicBoolean;

/** How a story says that it has seen enough. */
final class Input {
    private Input() {}

    /** Becomes true when standard input ends. */
    static AtomicBoolean atEnd() {
        AtomicBoolean ended = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException closed) {
                // the end of the input by another way
            }
            ended.set(true);
        });
        input.setDaemon(true);
        input.start();
        return ended;
    }
}
