import org.kerasbnn.BnnDelegate;
import org.tensorflow.lite.Delegate;

/** Prints what became of a delegate, one word a line, for test_android_delegate.py. */
public final class Check {
  public static void main(String[] arguments) throws Exception {
    try (BnnDelegate first = new BnnDelegate();
        BnnDelegate second = new BnnDelegate()) {
      Delegate delegate = first;
      System.out.println("handle " + (delegate.getNativeHandle() != 0));
      System.out.println("same " + (delegate.getNativeHandle() == first.getNativeHandle()));
      System.out.println("shared " + (first.getNativeHandle() == second.getNativeHandle()));
      first.close();
      first.close();
      System.out.println("second " + (second.getNativeHandle() != 0));
      first.getNativeHandle();
    } catch (IllegalStateException refused) {
      System.out.println(refused.getMessage());
    }
  }
}
